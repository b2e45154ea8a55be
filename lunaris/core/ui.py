"""The look, the two languages and the manners of every page: theme, texts, header and footer, errors as one sentence (HB-04).

A family's demo.py builds its components; this module gives them their words (`Texts`), turns what goes wrong into a sentence for the
visitor (`friendly`), has the parts that every tab is made of (`chip`, `seed_field`), and puts the demo on a page (`page`,
`page_options`, `launch`). It knows no family and imports gradio inside.
"""

import base64
import errno
import functools
import html
import inspect
import json
import logging
import os
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import lunaris
from lunaris.core import runtime

if TYPE_CHECKING:
    import gradio as gr

F = TypeVar("F", bound=Callable)

LANGUAGES = ("en", "pt-BR")
STATIC = Path(__file__).parent / "static"
MAX_FILE_SIZE = 5 * 2**20  # one uploaded file
MAX_BODY_SIZE = 8 * 2**20  # one request, whatever it carries, but for uploads:
MAX_UPLOAD_SIZE = 64 * 2**20  # all files that are uploaded in one go; Gradio writes them to the disk and sweeps them after two hours

log = logging.getLogger("lunaris")

# --- languages -------------------------------------------------------------------------------------------------------------------

_catalogue: dict[str, tuple[str, str]] = {  # key -> (English, Portuguese), of every `Texts`
    "common.complete": ("Complete", "Pronto"),  # of Gradio, which lacks them in Portuguese and shows the key
    "common.progress": ("Progress", "Progresso"),
    "common.upload": ("Upload", "Enviar"),
}


class Texts:
    """The words of one page in both languages; `table` maps a key to (English, Brazilian Portuguese).

    texts("prompt") is a label that Gradio translates in the browser; texts.html("hint") is HTML that holds both languages, of which
    the style sheet shows one; texts.say("saved", language, name="x") is a sentence for a toast or a file.
    """

    def __init__(self, prefix: str, table: Mapping[str, tuple[str, str]]):
        self.prefix, self.table = prefix, dict(table)
        _catalogue.update({f"{prefix}_{key}": pair for key, pair in self.table.items()})

    def __call__(self, key: str) -> Any:
        from gradio.i18n import I18nData

        if key not in self.table:
            raise KeyError(f"no text {key!r} in {self.prefix}")
        return I18nData(f"{self.prefix}_{key}")

    def html(self, key: str, **values: Any) -> str:
        """The text in both languages, `values` escaped and filled in. The text itself may hold markup."""
        safe = {name: html.escape(str(value)) for name, value in values.items()}
        return both(*(text.format(**safe) if values else text for text in self.table[key]))

    def say(self, key: str, language: str, **values: Any) -> str:
        return self.table[key][LANGUAGES.index(language)].format(**values)


def both(english: str, portuguese: str) -> str:
    """HTML that holds both languages; the style sheet shows the page's own."""
    return f'<span class="i18n" lang="en">{english}</span><span class="i18n" lang="pt-BR">{portuguese}</span>'


def translations() -> "gr.I18n":
    """Every text registered so far, for Gradio's own translation in the browser."""
    import gradio as gr

    english, portuguese = ({key: pair[i] for key, pair in _catalogue.items()} for i in (0, 1))
    return gr.I18n(**{"en": english, "pt": portuguese, "pt-BR": portuguese})


def language_of(request: "gr.Request | None") -> str:
    """The language to answer in: the better of ours by the request's Accept-Language, English without one.

    The page sends the visitor's own choice there (static/page.js); a REST or MCP client sends what it likes.
    """
    header = request.headers.get("accept-language", "") if request is not None and hasattr(request, "headers") else ""
    ranked = []
    for part in header.split(","):
        tag, _, weight = part.strip().partition(";q=")
        if tag.lower().split("-")[0] in ("en", "pt"):
            try:
                ranked.append((float(weight or 1), tag.lower()))
            except ValueError:
                continue
    best = max(ranked, key=lambda pair: pair[0], default=(0, "en"))
    return "pt-BR" if best[1].startswith("pt") else "en"


TEXTS = Texts(
    "page",
    {
        "pitch": (
            "Small generative models to try, retrain and make your own",
            "Pequenos modelos generativos para testar, retreinar e chamar de seus",
        ),
        "skip": ("Skip to the models", "Pular para os modelos"),
        "language": ("Language", "Idioma"),
        "dark": ("Dark theme", "Tema escuro"),
        "licence": ("MIT licence", "Licença MIT"),
        "local": (
            "Everything runs on this server; nothing you type leaves it.",
            "Tudo roda neste servidor; nada do que você digita sai dele.",
        ),
        "api": ("API", "API"),
        "mcp": ("MCP tools", "Ferramentas MCP"),
        "health": ("Status", "Estado"),
        "error": ("That did not work", "Isso não deu certo"),
        "unexpected": (
            "Something went wrong on our side, and nothing was lost; try again. (report {id})",
            "Algo deu errado do nosso lado, e nada se perdeu; tente de novo. (registro {id})",
        ),
        "memory": (
            "There is not enough memory for this; ask for less at once.",
            "Não há memória suficiente para isso; peça menos de uma vez.",
        ),
        "disk": (
            "This server's disk is full, so the files could not be written; try again later, or ask for less.",
            "O disco deste servidor está cheio e os arquivos não foram gravados; tente mais tarde, ou peça menos.",
        ),
        "malformed": (
            "This call does not fit the endpoint: check the number and the types of its values (see the API page).",
            "Esta chamada não combina com a rota: confira o número e os tipos dos valores (veja a página da API).",
        ),
        "examples": ("Try", "Experimente"),
        "anything": ("anything", "qualquer coisa"),
        "copy_link": ("Copy link", "Copiar link"),
        "seed": ("Seed", "Semente (seed)"),
        "keep_seed": ("Keep seed", "Manter semente"),
        "dice": ("New seed", "Nova semente"),
        "tuning": ("Fine-tuning", "Ajuste fino"),
        "broken": (
            "This tab could not be opened: {reason}",
            "Não foi possível abrir esta aba: {reason}",
        ),
        "others": ("The other tabs work as usual.", "As outras abas funcionam normalmente."),
    },
)

# --- errors ----------------------------------------------------------------------------------------------------------------------

# How our own sentences (rule, value, remedy) read in Portuguese, longest first. What no phrase covers stays English.
_PHRASES = (
    (
        r"^files must be uploaded to this server first, got a path or an address; send the file to /gradio_api/upload",
        "arquivos devem ser enviados antes a este servidor, mas veio um caminho ou um endereço; envie o arquivo a /gradio_api/upload",
    ),
    (
        r"^an address of a file must be one that this server gave, got one at (.*); send the file as a data: URL",
        r"o endereço de um arquivo deve ser um que este servidor deu, mas veio um em \1; envie o arquivo como URL data:",
    ),
    (
        r"^this server has no such file, or no longer; send it as a data: URL",
        "este servidor não tem esse arquivo, ou não o tem mais; envie-o como URL data:",
    ),
    (
        r"^a data: URL must be in base64, got another; write it as ",
        "uma URL data: deve estar em base64, mas veio outra; escreva-a como ",
    ),
    (r"; give its end alone$", "; dê só o final dele"),
    (r" must be text without control characters, got ", " deve ser texto sem caracteres de controle, mas veio "),
    (r"; take it out$", "; tire-o"),
    (
        r" must be at most (\d+) texts of 1 to (\d+) characters, got (\d+) of up to (\d+); try one line break",
        r" aceita no máximo \1 textos de 1 a \2 caracteres, mas vieram \3 de até \4; tente uma quebra de linha",
    ),
    (
        r"^mute must name experts as 3 \(in every layer\) or 0\.3 \(in layer 0\), got ",
        "mute deve nomear especialistas como 3 (em todas as camadas) ou 0.3 (na camada 0), mas veio ",
    ),
    (
        r"^expert_bias must be written as 3=2\.5 \(every layer\) or 0\.3=2\.5 \(layer 0\), got ",
        "expert_bias deve ser escrito como 3=2.5 (todas as camadas) ou 0.3=2.5 (camada 0), mas veio ",
    ),
    (r"^an expert must be from (\S+) to ([^\s,;]+)", r"um especialista deve ser de \1 a \2"),
    (r"^a layer must be from (\S+) to ([^\s,;]+)", r"uma camada deve ser de \1 a \2"),
    (
        r"^mute and expert_bias need a model with experts, got one with ffn 'dense'; leave them out",
        "mute e expert_bias precisam de um modelo com especialistas, e este não tem; deixe-os de fora",
    ),
    (
        r"^mute must leave at least (\d+) experts of a layer to choose, got (\d+); mute fewer",
        r"mute deve deixar ao menos \1 especialistas por camada, e deixou \2; cale menos",
    ),
    (
        r"^mute or expert_bias must name an expert, got neither; try mute ",
        "mute ou expert_bias deve nomear um especialista, e não veio nenhum; tente mute ",
    ),
    (
        r"^text must have at least one token, got none; write something first",
        "text deve ter ao menos um token, mas veio vazio; escreva algo antes",
    ),
    (r"^ids must be a list of at most ([\d.,]+) token ids, got ", r"ids deve ser uma lista de no máximo \1 ids de tokens, mas veio "),
    (r" must have token ids from (\d+) to (\d+), got ", r" deve ter ids de tokens de \1 a \2, mas veio "),
    (r"; leave it out$", "; deixe de fora"),
    (r"; put it in quotes$", "; ponha entre aspas"),
    (
        r"^the model looks back on ([\d.,]+) tokens, and the oldest ([\d.,]+) of prompt and text are out of sight by now; "
        r"give a shorter prompt or a smaller max_new_tokens to keep all in sight",
        r"o modelo olha \1 tokens para trás, e os \2 mais antigos do texto já estão fora de vista; "
        r"dê um começo mais curto ou um max_new_tokens menor para manter tudo à vista",
    ),
    (
        r"^the text has ([\d.,]+) tokens, of which the newest ([\d.,]+) are listed; give a part of it alone to see others",
        r"o texto tem \1 tokens, e aparecem os \2 mais novos; dê só uma parte dele para ver outros",
    ),
    (
        r" is a checkpoint of family '(\w+)', not '(\w+)'; load it in its own tab",
        r" é um checkpoint da família '\1', não de '\2'; carregue-o na aba dela",
    ),
    (
        r" has no model\.safetensors; a checkpoint holds model\.safetensors and config\.json",
        " não tem model.safetensors; um checkpoint tem model.safetensors e config.json",
    ),
    (r" must be at most ([\d.,]+) characters, got ([\d.,]+)", r" pode ter no máximo \1 caracteres, mas veio com \2"),
    (r"; say it shorter, such as ", "; diga mais curto, como "),
    (
        r" must be plain text without control characters such as line breaks or tabs",
        " deve ser texto simples, sem caracteres de controle como quebras de linha ou tabulações",
    ),
    (r" must be a whole number from (\S+) to ([^\s,;]+)", r" deve ser um número inteiro de \1 a \2"),
    (r" must be a finite number from (\S+) to ([^\s,;]+)", r" deve ser um número de \1 a \2"),
    (r" must be a whole number", " deve ser um número inteiro"),
    (r" must be a finite number", " deve ser um número"),
    (r" must be a text", " deve ser um texto"),
    (r" must have at most ([\d.,]+) pixels, got ", r" pode ter no máximo \1 pixels, mas veio com "),
    (r"more than ([\d.,]+); make it smaller", r"mais de \1; diminua"),
    (r" must be at most (\d+) MB, got (\d+) MB", r" pode ter no máximo \1 MB, mas veio com \2 MB"),
    (r"; make it smaller$", "; diminua"),
    (r"; use a smaller scale or fewer sprites$", "; use uma escala menor ou menos sprites"),
    (
        r"^the pictures must have an opaque pixel to take colours from, got none; choose others",
        "a imagem é toda transparente, sem cores para aproveitar; escolha outra",
    ),
    (
        r"^the picture must be at least 2x2 pixels to have seams, got (\S+); choose a larger one",
        r"a imagem precisa de pelo menos 2x2 pixels para ter emendas, mas veio com \1; escolha uma maior",
    ),
    (r"^a GIF needs at least one frame, got none; choose some sprites", "um GIF precisa de pelo menos um quadro; escolha alguns sprites"),
    (r" must be contain or cover, got ", " deve ser contain ou cover, mas veio "),
    (r" must be from (\S+) to (\S+) pixels", r" deve ser de \1 a \2 pixels"),
    (r" must be from (\S+) to ([^\s,;]+)", r" deve ser de \1 a \2"),
    (r"^the sheet\b", "a folha"),
    (r"^the GIF\b", "o GIF"),
    (r"^a map takes one, two or four prompts with \| between them", "um mapa aceita uma, duas ou quatro descrições com | entre elas"),
    (r"^expression must have from 1 to 8 terms", "a expressão deve ter de 1 a 8 termos"),
    (
        r"^cannot read (.*) as a term; join prompts with \+ and -, such as ",
        r"não consigo ler \1 como termo; una descrições com + e -, como ",
    ),
    (r"^a weight must be above 0 and at most (\S+)", r"um peso deve ser maior que 0 e no máximo \1"),
    (
        r"^the first term must be added, got (.*); start with what the picture shows, such as ",
        r"o primeiro termo deve ser somado, mas veio \1; comece pelo que a imagem mostra, como ",
    ),
    (r"^the terms cancel each other out, so nothing is left to draw", "os termos se anulam e não sobra nada para desenhar"),
    (r"^a tile must be at most (\d+) pixels a side", r"um ladrilho pode ter no máximo \1 pixels por lado"),
    (r"; make pixel art of it first", "; faça pixel art dela primeiro"),
    (r" must be one of (.*) or a list of hex colours, got ", r" deve ser um destes: \1, ou uma lista de cores hexadecimais, mas veio "),
    (r" must have from (\d+) to (\d+) different colours, got (\d+)", r" deve ter de \1 a \2 cores diferentes, mas veio com \3"),
    (
        r"^colours must be 0 \(as drawn\) or 2 to 64, got 1; a sprite of one colour shows nothing",
        "colours deve ser 0 (como desenhado) ou de 2 a 64, mas veio 1; um sprite de uma cor só não mostra nada",
    ),
    (r" must be a colour of six hex digits, got ", " deve ser uma cor de seis dígitos hexadecimais, mas veio "),
    (r", or leave it empty$", ", ou deixe vazio"),
    (
        r"^this is not a readable PNG \((\w+)\); give a PNG that Lunaris wrote",
        r"isto não é um PNG legível (\1); dê um PNG que o Lunaris gravou",
    ),
    (
        r"^this checkpoint has no flow for quality mode; choose mode 'instant' or another checkpoint",
        "este checkpoint não tem o amostrador de qualidade; escolha o modo 'instant' ou outro checkpoint",
    ),
    (r" must be a picture, got none; upload a PNG, GIF, WebP or JPEG file", ": falta uma imagem; envie um arquivo PNG, GIF, WebP ou JPEG"),
    (r"^file must be a PNG, got none; upload one that Lunaris wrote", "falta um arquivo; envie um PNG que o Lunaris gravou"),
    (
        r"^files must be a list of uploaded files, got something else; send them to /gradio_api/upload first",
        "files deve ser uma lista de arquivos enviados; envie-os antes a /gradio_api/upload",
    ),
    (
        r"^this run is no longer in the history, got its number only; draw it again from the form",
        "esta rodada não está mais no histórico; desenhe de novo pelo formulário",
    ),
    (r"^cells must name cells from (\S+) to ([^\s,;]+)", r"cells deve nomear quadros de \1 a \2"),
    (r"^cells must be at most (\d+) pairs of cell:seed", r"cells aceita no máximo \1 pares de quadro:semente"),
    (
        r"^a checkpoint that is retrained here must have at most ([\d.,]+) parameters, got ([\d.,]+); train it with: ",
        r"um checkpoint retreinado aqui pode ter no máximo \1 parâmetros, mas veio com \2; treine-o com: ",
    ),
    (
        r"^this file was made by the (\w+) family, not by (\w+); drop it in that tab",
        r"este arquivo foi feito pela família \1, não pela \2; solte-o naquela aba",
    ),
    (
        r"^this file was made by a newer Lunaris \(record format (.*), known: (\d+)\); update Lunaris",
        r"este arquivo foi feito por um Lunaris mais novo (formato \1, conhecido: \2); atualize o Lunaris",
    ),
    (
        r"^the record names the call (.*); this Lunaris can replay (.*)",
        r"o registro nomeia a chamada \1; este Lunaris sabe refazer \2",
    ),
    (
        r"^model must be a bundled name or owner/name, got (.*); a file may not choose a folder",
        r"model deve ser um nome incluído ou dono/nome, mas veio \1; um arquivo não pode escolher uma pasta",
    ),
    (r"; the record (is damaged|was changed)$", "; o registro está danificado"),
    (r"; give a smaller one$", "; dê um menor"),
    (r"; give it as Lunaris wrote it$", "; dê o arquivo como o Lunaris o gravou"),
    (
        r"^pixels: the file has (\S+), made again it has (\S+)",
        r"pixels: o arquivo tem \1, refeito tem \2",
    ),
    (r"^(pixels: .*\d) and (\d+) more of ", r"\1 e mais \2 of "),
    (r"^pixels: ([\d,]+) of ([\d,]+) differ, in picture (\d+) of (\d+)$", r"pixels: \1 de \2 diferem, na imagem \3 de \4"),
    (r"^pixels: ([\d,]+) of ([\d,]+) differ, in pictures (.*) of (\d+)$", r"pixels: \1 de \2 diferem, nas imagens \3 de \4"),
    (r"^weights: (\S+) of (.*) then, (\S+) now$", r"pesos: \1 de \2 antes, \3 agora"),
    (r"^(\S+): (.*) then, (.*) now$", r"\1: \2 antes, \3 agora"),
    (r"\bnot recorded antes\b", "não registrado antes"),
    (
        r"^all else is as it was: the file was changed, another processor sums in another order, or another state of Lunaris (\S+) made it",
        r"o resto é igual: o arquivo foi alterado, outro processador soma em outra ordem, ou outra versão do Lunaris \1 o fez",
    ),
    (
        r"^this PNG holds no Lunaris record: .*",
        "este PNG não tem registro do Lunaris: foi feito em outro lugar, ou os metadados se perderam no caminho",
    ),
    (
        r"^this file was made with a folder called (.*); load that checkpoint first, and name it as model",
        r"este arquivo foi feito com uma pasta chamada \1; carregue esse checkpoint primeiro",
    ),
    (
        r"^the pictures of this run are no longer on the server, got only their names; press Generate again",
        "as imagens desta rodada não estão mais no servidor; clique em Gerar de novo",
    ),
    (r"^the history is empty, got no run to download; press Generate first", "o histórico está vazio; clique em Gerar primeiro"),
    (r"^there is no run yet, got nothing to work on; press Generate first", "ainda não há nenhuma rodada; clique em Gerar primeiro"),
    (r" must be one of ", " deve ser um destes: "),
    (r" must be ", " deve ser "),
    (r" must stay within ", " deve ficar até "),
    (r"^no folder and no bundled checkpoint (\S+); give ", r"não há pasta nem checkpoint incluído chamado \1; dê "),
    (r"^no folder (\S+) here, and ", r"não há pasta \1 aqui, e "),
    (r"^no folder (\S+); give ", r"não há pasta \1; dê "),
    (r"^a ref may not contain '\.\.'", "uma referência não pode conter '..'"),
    (r"; give the whole path of the folder", "; dê o caminho completo da pasta"),
    (r"a bundled one \(([^)]*)\), a folder, or owner/name on the Hub", r"um incluído (\1), uma pasta ou dono/nome no Hub"),
    (r"the Hub has no model (\S+), or it is private and this account may not see it", r"o Hub não tem o modelo \1, ou ele é privado"),
    (r"; check the name, or log in with ", "; confira o nome, ou entre com "),
    (
        r"the Hub has no model (\S+) that everybody may see; check the name, or choose a public one",
        r"o Hub não tem um modelo \1 que todos possam ver; confira o nome, ou escolha um público",
    ),
    (
        r"the Hub has no such revision of model (\S+); check the tag, branch or commit id",
        r"o Hub não tem essa revisão do modelo \1; confira a tag ou o commit",
    ),
    (r"the Hub did not answer within (\S+ s) for model ([^;]+)", r"o Hub não respondeu em \1 sobre o modelo \2"),
    (r"the Hub cannot be reached for model (\S+) \(.*\)", r"o Hub não pôde ser alcançado para o modelo \1"),
    (r"; check the network(, or raise LUNARIS_HUB_TIMEOUT)?", "; confira a rede"),
    (r"\bboth prompts must say something, got an empty one", "os dois textos precisam dizer algo, e veio um vazio"),
    (
        r"this checkpoint was trained without text, so it takes no prompt; leave the prompt empty or load another one",
        "este modelo foi treinado sem texto e não aceita descrição; deixe a descrição vazia ou carregue outro",
    ),
    (
        r" is not a readable picture \((\w+)\); use a PNG, GIF, WebP or JPEG file",
        r" não é uma imagem legível (\1); use um arquivo PNG, GIF, WebP ou JPEG",
    ),
    (
        r"^give at most ([\d.,]+) pictures, got ([\d.,]+); choose the best ones",
        r"envie no máximo \1 imagens, e vieram \2; escolha as melhores",
    ),
    (r"^give at least (\d+) different pictures, got (\d+)", r"envie pelo menos \1 imagens diferentes, e vieram \2"),
    (r"; add PNG files or a ZIP of them", "; acrescente arquivos PNG ou um ZIP deles"),
    (
        r"^you have a training waiting or running already; wait until it ends, or cancel it",
        "você já tem um treino na fila ou em andamento; espere terminar ou pare-o",
    ),
    (
        r"^(\d+) trainings are waiting, which is all this server takes; try again in a few minutes",
        r"há \1 treinos na fila, tudo o que este servidor aceita; tente de novo em alguns minutos",
    ),
    (
        r"^this server has no such training; it keeps one for (\S+) h after its last use: start a new one",
        r"este servidor não tem esse treino; ele guarda cada um por \1 h depois do último uso: comece outro",
    ),
    (
        r"^only a stopped training can be resumed, and this one is (\w+); start a new one",
        r"só um treino parado pode continuar, e este está em \1; comece outro",
    ),
    (
        r"^this training has made no model yet; wait for its end, or cancel it to get what it has so far",
        "este treino ainda não fez um modelo; espere terminar, ou pare-o para ficar com o que há até aqui",
    ),
    (
        r"^the server was restarted or ran out of memory; what was saved is still there, so resume it",
        "o servidor reiniciou ou ficou sem memória; o que foi salvo continua lá, então dá para continuar",
    ),
    (
        r"^the (\S+) minutes that one run may take are over; resume goes on from here",
        r"acabaram os \1 minutos que um treino pode levar de uma vez; dá para continuar daqui",
    ),
    (
        r": the disk of this server is full; nothing of yours was lost, try again in an hour",
        ": o disco deste servidor está cheio; nada seu se perdeu, tente de novo em uma hora",
    ),
    (r"^the file was not made", "o arquivo não foi feito"),
    (r"^the training was not started", "o treino não começou"),
    (r" is not a readable ZIP", " não é um ZIP legível"),
    (r" is damaged in the ZIP \(", " está danificado no ZIP ("),
    (r" must have at most ([\d.,]+) pixels", r" pode ter no máximo \1 pixels"),
    (r"; make it smaller", "; diminua"),
    (r", got ", ", mas veio "),
    (r"; try ", "; tente "),
    (r"^the picture\b", "a imagem"),
)


def in_portuguese(sentence: str) -> str:
    """One of our error sentences in Portuguese, phrase by phrase."""
    for pattern, replacement in _PHRASES:
        sentence = re.sub(pattern, replacement, sentence)
    return sentence


def sentence_of(error: BaseException, language: str = "en") -> str:
    """What a visitor is told: the sentence of an error that was written for people, a neutral one with a report number for the rest.

    Anything unexpected is logged with its traceback under that number.
    """
    from lunaris.core.hub import HubError

    own_words = isinstance(error, (ValueError, ModuleNotFoundError, HubError)) or (isinstance(error, OSError) and error.errno is None)
    text = " ".join(str(error).split())
    if own_words and text:
        text = text if len(text) <= 400 else text[:399] + "…"
        text = text.translate({ord("<"): "‹", ord(">"): "›"})  # a toast is HTML, a REST answer is not: neither needs escaping now
        return in_portuguese(text) if language == "pt-BR" else text
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        log.error("the disk is full", exc_info=error)
        return TEXTS.say("disk", language)
    if isinstance(error, MemoryError) or "out of memory" in text.lower():
        log.error("out of memory", exc_info=error)
        return TEXTS.say("memory", language)
    return report(error, language)


def report(error: BaseException, language: str = "en") -> str:
    """Log `error` with its traceback under a number, and give the neutral sentence that names the number."""
    number = secrets.token_hex(4)
    log.error("report %s", number, exc_info=error)
    return TEXTS.say("unexpected", language, id=number)


def as_toast(error: Exception, language: str) -> "gr.Error":
    """`error` as Gradio shows it in the page and sends it over REST: one sentence, no traceback."""
    import gradio as gr

    if isinstance(error, gr.Error):
        return error
    return gr.Error(sentence_of(error, language), duration=12, title=TEXTS.say("error", language), print_exception=False)


_language: ContextVar[str] = ContextVar("language", default="en")  # of the call that is being answered, for handlers that take no request


def friendly(handler: F) -> F:
    """Decorator of every handler: whatever it raises reaches the visitor as one sentence in their language, and the log in full."""
    import gradio as gr

    def told(error: Exception, values: tuple[Any, ...]) -> "gr.Error":
        request = next((value for value in values if isinstance(value, gr.Request)), None)
        return as_toast(error, _language.get() if request is None else language_of(request))

    @functools.wraps(handler)
    def call(*args, **kwargs):
        try:
            return handler(*args, **kwargs)
        except Exception as error:
            raise told(error, (*args, *kwargs.values())) from None

    @functools.wraps(handler)
    def stream(*args, **kwargs):  # one that yields raises while it is read; closing it closes the handler
        try:
            yield from handler(*args, **kwargs)
        except Exception as error:
            raise told(error, (*args, *kwargs.values())) from None

    return stream if inspect.isgeneratorfunction(inspect.unwrap(handler)) else call


def guard(blocks: "gr.Blocks") -> None:
    """Make `blocks` answer a malformed call (wrong number of values, wrong types, a file that was not uploaded) with one sentence.

    Gradio checks and converts values before a handler sees them, so `friendly` alone cannot: this wraps the whole call.
    """
    import gradio as gr

    inner = blocks.process_api

    @functools.wraps(inner)
    async def process_api(block_fn, inputs, *args, **kwargs):
        language = language_of(kwargs.get("request"))
        _language.set(language)  # Gradio answers each call in a context of its own
        try:
            check_files(inputs)
            return await inner(block_fn, _with_defaults(block_fn, inputs), *args, **kwargs)
        except gr.Error as error:
            error.print_exception = False
            raise
        except UploadError as error:
            raise as_toast(error, language) from None
        except Exception as error:
            log.warning("refused a call of %s: %s", getattr(block_fn, "api_name", "?"), " ".join(str(error).split())[:200])
            raise as_toast(ValueError(TEXTS.say("malformed", language)), language) from None

    blocks.process_api = process_api


def _with_defaults(block_fn: Any, inputs: list[Any]) -> list[Any]:
    """The values of a call by position, those left off at its end filled in: a caller of before goes on when arguments are added."""
    handler = getattr(block_fn, "fn", None)
    if handler is None or len(inputs) >= len(block_fn.inputs):
        return inputs
    left = list(inspect.signature(handler).parameters.values())[len(inputs) : len(block_fn.inputs)]
    known = [parameter.default for parameter in left if parameter.default is not parameter.empty]
    return [*inputs, *known] if len(known) == len(block_fn.inputs) - len(inputs) else inputs


class UploadError(ValueError):
    """A file that a visitor names but did not upload."""


def check_files(value: Any) -> None:
    """Raise `UploadError` for any file in a call's values that does not lie in Gradio's upload folder.

    Gradio alone would read any picture of this server for a caller who names its path, and fetch any address.
    """
    from gradio.utils import get_upload_folder

    if isinstance(value, dict):
        path = value.get("path")
        if isinstance(path, str) and not Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve()):
            raise UploadError("files must be uploaded to this server first, got a path or an address; send the file to /gradio_api/upload")
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            check_files(item)


# --- what handlers share ----------------------------------------------------------------------------------------------------------


def serves_only_this_machine(request: "gr.Request | None") -> bool:
    """Whether whoever asks sits at this computer, so that naming its folders is no secret to them.

    On a Space, on a server that listens to the network, through a tunnel or a proxy: no.
    """
    if os.environ.get("SPACE_ID") or os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1").strip() not in ("127.0.0.1", "::1", "localhost", ""):
        return False
    if request is None:
        return True  # called from Python
    headers = request.headers
    name = re.sub(r":\d+$", "", headers.get("host", ""))
    forwarded = any(key in headers for key in ("x-forwarded-for", "x-forwarded-host", "forwarded"))
    near = request.client is not None and request.client.host in ("127.0.0.1", "::1")
    return near and not forwarded and name in ("127.0.0.1", "[::1]", "localhost")


def whole(value: Any) -> Any:
    """JSON knows one kind of number: 16.0 is the whole number 16. What is not whole is left for the check to refuse."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def link_values(given: Mapping[str, str], numbers: Collection[str]) -> dict[str, Any]:
    """The parameters of a link, those of `numbers` as numbers; what is none stays text, for the check to refuse."""
    number = re.compile(r"-?(0|[1-9]\d{0,30})(\.\d{1,30})?", re.ASCII)
    return {name: json.loads(text) if name in numbers and number.fullmatch(text) else text for name, text in given.items()}


def keep(name: str, data: bytes) -> str:
    """`data` as a file in Gradio's cache, from where it is served and swept after an hour or two; equal data is one file."""
    from gradio.processing_utils import hash_bytes
    from gradio.utils import get_upload_folder

    path = Path(get_upload_folder()).resolve() / hash_bytes(data) / name
    if path.is_file():
        path.touch()  # it is wanted again, so it starts its hour anew
        return str(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{name}.{secrets.token_hex(4)}")
    try:
        half.write_bytes(data)
        half.replace(path)  # another visitor's equal picture is never seen half-written
    finally:
        half.unlink(missing_ok=True)  # on a full disk, what was written of it takes up the last of the room
    return str(path)


# --- theme -----------------------------------------------------------------------------------------------------------------------

# One night sky in two lights: paper under a full moon, and the sky itself. Text on its ground is 4.5:1 or better in both.
LIGHT = {
    "ground": "#f4f3fb", "panel": "#ffffff", "sunken": "#f8f7fd", "ink": "#1c1a37", "muted": "#5a587c", "line": "#dbd8ee",
    "accent": "#463aa6", "soft": "#ebe8fb", "button": "#463aa6", "button_hover": "#372d8a", "button_ink": "#ffffff", "danger": "#b3261e",
    "check_a": "#d3d0e6", "check_b": "#e6e4f2",
}  # fmt: skip
DARK = {
    "ground": "#0b0c1e", "panel": "#15172e", "sunken": "#101226", "ink": "#eceafb", "muted": "#a9a8d0", "line": "#2e3158",
    "accent": "#bdb2ff", "soft": "#262a55", "button": "#f4d58d", "button_hover": "#ffe6ac", "button_ink": "#1a1636", "danger": "#ffb4ab",
    "check_a": "#4a4e82", "check_b": "#3d416f",
}  # fmt: skip
FONT = ["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Ubuntu", "Cantarell", "Noto Sans", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace"]

_ROLES = {  # Gradio's variable -> ours
    "body_background_fill": "ground", "body_text_color": "ink", "body_text_color_subdued": "muted",
    "background_fill_primary": "panel", "background_fill_secondary": "ground", "border_color_primary": "line",
    "border_color_accent": "accent", "border_color_accent_subdued": "line", "color_accent_soft": "soft",
    "block_background_fill": "panel", "block_border_color": "line", "block_info_text_color": "muted", "block_label_background_fill": "soft",
    "block_label_text_color": "ink", "block_label_border_color": "line", "block_title_text_color": "ink", "panel_background_fill": "sunken",
    "panel_border_color": "line", "accordion_text_color": "ink", "table_text_color": "ink", "table_border_color": "line",
    "table_even_background_fill": "panel", "table_odd_background_fill": "sunken", "code_background_fill": "soft",
    "link_text_color": "accent", "link_text_color_hover": "ink", "link_text_color_active": "accent", "link_text_color_visited": "accent",
    "input_background_fill": "sunken", "input_background_fill_focus": "panel", "input_border_color": "line",
    "input_border_color_focus": "accent", "input_placeholder_color": "muted", "slider_color": "accent", "loader_color": "accent",
    "checkbox_background_color": "sunken", "checkbox_background_color_selected": "accent", "checkbox_border_color": "muted",
    "checkbox_border_color_selected": "accent", "checkbox_border_color_focus": "accent", "checkbox_label_background_fill": "panel",
    "checkbox_label_text_color": "ink", "button_primary_background_fill": "button", "button_primary_background_fill_hover": "button_hover",
    "button_primary_border_color": "button", "button_primary_text_color": "button_ink", "button_primary_text_color_hover": "button_ink",
    "button_secondary_background_fill": "soft", "button_secondary_background_fill_hover": "line", "button_secondary_border_color": "line",
    "button_secondary_text_color": "ink", "button_secondary_text_color_hover": "ink", "button_cancel_background_fill": "panel",
    "button_cancel_border_color": "danger", "button_cancel_text_color": "danger", "button_cancel_text_color_hover": "danger",
    "error_text_color": "danger", "error_icon_color": "danger", "error_border_color": "danger", "error_background_fill": "panel",
}  # fmt: skip


def theme() -> Any:
    """The Gradio theme: our colours in both lights, system fonts only."""
    import gradio as gr

    values = {name: LIGHT[role] for name, role in _ROLES.items()} | {f"{name}_dark": DARK[role] for name, role in _ROLES.items()}
    colors, sizes = gr.themes.colors, gr.themes.sizes
    base = gr.themes.Base(primary_hue=colors.indigo, neutral_hue=colors.slate, radius_size=sizes.radius_lg, font=FONT, font_mono=MONO)
    return base.set(
        **values,
        body_text_size="16px",
        block_label_text_size="14px",
        block_title_text_size="14px",
        block_title_text_weight="600",
        block_info_text_size="13px",
        input_text_size="16px",  # smaller, and phones zoom in on focus
        button_large_text_size="16px",
        button_medium_text_size="15px",
        button_small_text_size="14px",
        block_shadow="none",
        block_shadow_dark="none",
        input_shadow_focus=f"0 0 0 3px {LIGHT['soft']}",
        input_shadow_focus_dark=f"0 0 0 3px {DARK['soft']}",
        checkbox_label_background_fill_selected=LIGHT["soft"],
        checkbox_label_background_fill_selected_dark=DARK["soft"],
        checkbox_label_text_color_selected=LIGHT["ink"],
        checkbox_label_text_color_selected_dark=DARK["ink"],
    )


def css() -> str:
    """Our colours as CSS variables, then the style sheet."""
    variables = []
    for selector, colours in ((":root", LIGHT), ("body.dark", DARK)):
        lines = (f"--moon-{name.replace('_', '-')}: {value};" for name, value in colours.items())
        variables.append(f"{selector} {{ {' '.join(lines)} }}")
    return "\n".join(variables) + "\n" + (STATIC / "page.css").read_text(encoding="utf-8")


# --- parts of a tab --------------------------------------------------------------------------------------------------------------


def raw(value: Any = "", **options: Any) -> "gr.HTML":
    """Our own markup, or what a template makes of any value, as a component: no script, none of Gradio's text styles."""
    import gradio as gr

    return gr.HTML(value, js_on_load=None, apply_default_css=False, **options)


def chip(text: str, label: str = "", *, fill: str, **data: str) -> str:
    """A button that puts `text` into the field `fill`; page.js reads the data attributes."""
    attributes = "".join(f' data-{key}="{html.escape(value)}"' for key, value in {"fill": fill, "text": text, **data}.items())
    return f'<button type="button" class="lunaris-chip"{attributes}>{html.escape(label or text)}</button>'


def empty_state(texts: Texts, key: str) -> str:
    """What stands where a result will be."""
    return f'<div class="lunaris-empty">{moon()}<b>{texts.html(key)}</b><span>{texts.html(f"{key}_hint")}</span></div>'


NEW_SEED = "() => Math.floor(Math.random() * 1e6)"


def seed_field(info: Any = None, **options: Any) -> "gr.Number":
    """A field for a seed, and beside it a button that throws the dice for another one."""
    import gradio as gr

    with gr.Row(elem_classes="lunaris-bar"):
        seed = gr.Number(0, precision=0, minimum=0, maximum=2**32 - 1, label=TEXTS("seed"), info=info, min_width=120, **options)
        dice = gr.Button(TEXTS("dice"), size="sm", min_width=120)
    dice.click(None, None, seed, js=NEW_SEED, api_visibility="private")
    return seed


# --- pages -----------------------------------------------------------------------------------------------------------------------


def moon() -> str:
    """The logo, as inline SVG."""
    return (STATIC / "moon.svg").read_text(encoding="utf-8").strip()


def icon(path: str) -> str:
    """A 24-unit line icon, as inline SVG."""
    return f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="{path}"/></svg>'


THEME_ICON = "M12 3a9 9 0 1 0 9 9 7 7 0 0 1-9-9Z"


def header() -> str:
    """Logo, name, pitch, and the two switches; page.js gives them their work."""
    languages = "".join(
        f'<button type="button" data-language="{tag}" lang="{tag}" aria-label="{name}" aria-pressed="false">{short}</button>'
        for tag, short, name in (("en", "EN", "English"), ("pt-BR", "PT", "Português do Brasil"))
    )
    return f"""<header class="lunaris-header">
  <a class="lunaris-skip" href="#lunaris-main">{TEXTS.html("skip")}</a>
  <div class="lunaris-brand">{moon()}<div><h1>Lunaris</h1><p>{TEXTS.html("pitch")}</p></div></div>
  <div class="lunaris-switches">
    <div class="lunaris-languages" role="group"><span class="sr-only">{TEXTS.html("language")}</span>{languages}</div>
    <button type="button" class="lunaris-theme" data-theme-switch aria-pressed="false">
      {icon(THEME_ICON)}<span class="sr-only">{TEXTS.html("dark")}</span>
    </button>
  </div>
</header>"""


def footer() -> str:
    links = f"""<a href="./gradio_api/openapi.json" data-api>{TEXTS.html("api")}</a>
    <a href="./gradio_api/mcp/" rel="nofollow">{TEXTS.html("mcp")}</a>
    <a href="./healthz" rel="nofollow">{TEXTS.html("health")}</a>"""
    return f"""<footer class="lunaris-footer">
  <span>Lunaris {html.escape(lunaris.__version__)} · {TEXTS.html("licence")}</span>
  <span>{TEXTS.html("local")}</span>
  <nav>{links}</nav>
</footer>"""


def broken_tab(reason: str) -> str:
    """What the tab of a family that failed to load shows instead."""
    return f'<div class="lunaris-broken" role="alert"><p>{TEXTS.html("broken", reason=reason)}</p><p>{TEXTS.html("others")}</p></div>'


def page(demos: "Mapping[str, gr.Blocks | str]", titles: Mapping[str, Mapping[str, str]]) -> "gr.Blocks":
    """Header, one tab per family of `titles` (none for a demo on a page of its own), footer. A demo given as text is HTML in its place.

    The demos must have been built outside any Blocks context, or each of them would appear twice.
    """
    import gradio as gr

    with gr.Blocks(title="Lunaris", analytics_enabled=False, delete_cache=(3600, 7200)) as whole:
        raw(header(), elem_id="lunaris-top")
        with gr.Column(elem_id="lunaris-main"):
            if len(demos) == 1 and not titles:
                _render(next(iter(demos.values())))
            else:
                with gr.Tabs(elem_id="lunaris-tabs"):
                    for name, demo in demos.items():
                        _catalogue[f"{name}_title"] = (titles[name]["en"], titles[name]["pt-BR"])
                        with gr.Tab(gr.I18n()(f"{name}_title"), id=name, elem_id=f"tab-{name}"):
                            _render(demo)
        raw(footer(), elem_id="lunaris-bottom")
        whole.load(None, js="() => { window.lunaris && window.lunaris.sync(); }", api_visibility="private")
    whole.queue(max_size=64, default_concurrency_limit=2, api_open=False)  # open routes would let a caller pass the queue by
    whole.state_session_capacity = 500
    guard(whole)
    return whole


def _render(demo: "gr.Blocks | str") -> None:
    if isinstance(demo, str):
        raw(demo)
    else:
        demo.render()


def page_options(healthz: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What both `Blocks.launch` and `mount_gradio_app` take: look, words, script, limits, MCP. `healthz` says what /healthz answers."""
    from lunaris.core import serving

    icon_link = "data:image/svg+xml;base64," + base64.b64encode(moon().encode()).decode()
    script = (STATIC / "page.js").read_text(encoding="utf-8")
    return {
        "theme": theme(),
        "head": f'<link rel="icon" href="{icon_link}"><style>{css()}</style><script>{script}</script>',
        "i18n": translations(),
        "max_file_size": MAX_FILE_SIZE,
        "show_error": False,  # the text of an unexpected error is for the log; gr.Error is shown either way
        "footer_links": ["api"],  # the page of examples; our own footer opens it
        "run_history": False,
        "mcp_server": runtime.installed_version("mcp") is not None,
        "ssr_mode": False,
        "app_kwargs": serving.app_kwargs(healthz),
    }


def launch(demo: "gr.Blocks", **options: Any) -> Any:
    """One family's demo on a page of its own: what its Space and its notebook run. `options` go to `gr.Blocks.launch`."""
    runtime.one_thread_per_request()
    whole = page({"demo": demo}, {})
    standard = page_options(lambda: {"status": "ok", "version": lunaris.__version__})
    return whole.launch(**{**standard, "state_session_capacity": whole.state_session_capacity, **options})

"""The words of the tab in both languages, and the beginnings it suggests."""

from lunaris.core import ui

FAMILY = "moc"

TEXTS = ui.Texts(
    FAMILY,
    {
        # views
        "write": ("Write", "Escrever"),
        "what_if": ("What if", "E se"),
        "compare": ("Does it help?", "Isso ajuda?"),
        "model": ("Model", "Modelo"),
        # write
        "prompt": ("How it begins", "Como começa"),
        "prompt_hint": ("Once upon a time", "Era uma vez"),
        "prompt_info": (
            "Portuguese or English. Leave it empty, and the model begins a text of its own. Shift+Enter writes.",
            "Em português ou inglês. Deixe vazio, e o modelo começa um texto próprio. Shift+Enter escreve.",
        ),
        "go": ("Write", "Escrever"),
        "text": ("Text", "Texto"),
        "text_hint": (
            "The text appears here as it is written. Change what you like, and continue from there.",
            "O texto aparece aqui enquanto é escrito. Mude o que quiser e continue dali.",
        ),
        "more": ("Continue", "Continuar"),
        "stop_now": ("Stop", "Parar"),
        "see": ("Council of this text", "Conselho deste texto"),
        "ask_what_if": ("What if …", "E se …"),
        "in_clipboard": ("The link to this prompt is in the clipboard.", "O link para este começo está na área de transferência."),
        "in_address": ("The link to this prompt is in the address bar.", "O link para este começo está na barra de endereço."),
        "no_link": (
            "This prompt is too long for a link; copy the text instead.",
            "Este começo é longo demais para um link; copie o texto.",
        ),
        "max_new_tokens": ("Length", "Comprimento"),
        "max_new_tokens_info": (
            "Tokens at most; one is about three to four letters.",
            "Tokens, no máximo; um tem umas três ou quatro letras.",
        ),
        "temperature": ("Temperature", "Temperatura"),
        "temperature_info": (
            "0 always takes the most probable token, 1 is as trained, more is wilder.",
            "0 toma sempre o token mais provável, 1 é como no treino, mais é mais ousado.",
        ),
        "top_p": ("Top-p", "Top-p"),
        "top_p_info": (
            "Only the most probable tokens that together reach this share.",
            "Só os tokens mais prováveis que juntos chegam a esta parte.",
        ),
        "seed_info": ("The same seed writes the same text.", "A mesma semente escreve o mesmo texto."),
        "top_k": ("Top-k", "Top-k"),
        "top_k_info": ("Only so many of the most probable tokens; 0 is all.", "Só tantos dos tokens mais prováveis; 0 são todos."),
        "repetition_penalty": ("Repetition penalty", "Penalidade de repetição"),
        "repetition_penalty_info": (
            "Above 1, tokens that were there before become less probable.",
            "Acima de 1, tokens que já apareceram ficam menos prováveis.",
        ),
        "stop": ("Stop texts", "Textos de parada"),
        "stop_info": (
            "Each ends the writing; one per line, four at most. \\n is a line break.",
            "Cada um encerra a escrita; um por linha, quatro no máximo. \\n é uma quebra de linha.",
        ),
        "mute": ("Muted experts", "Especialistas mudos"),
        "mute_info": ("3 in every layer, 0.3 in layer 0 alone; spaces between.", "3 em todas as camadas, 0.3 só na camada 0; com espaços."),
        "expert_bias": ("Favoured experts", "Especialistas favorecidos"),
        "expert_bias_info": (
            "Added to the score: 2=1.5 in every layer, 0.2=-1 in layer 0 alone.",
            "Somado à pontuação: 2=1.5 em todas as camadas, 0.2=-1 só na camada 0.",
        ),
        "finish_writing": ("writing …", "escrevendo …"),
        "finish_end": ("the model ended the text", "o modelo encerrou o texto"),
        "finish_stop": ("a stop text came", "veio um texto de parada"),
        "finish_length": ("the length is reached", "chegou ao comprimento"),
        "finish_stopped": ("stopped; what was written stays", "parado; o que foi escrito fica"),
        "tokens": ("tokens", "tokens"),
        "per_second": ("tokens/s", "tokens/s"),
        "seed": ("seed", "semente"),
        # the council
        "council": ("The council", "O conselho"),
        "council_intro": (
            "Over every token it reads, in each of its layers, the model holds a council of experts. Point at a token or move with the "
            "arrow keys to see its minutes; click to keep it.",
            "Sobre cada token que lê, em cada uma de suas camadas, o modelo reúne um conselho de especialistas. Aponte um token ou mova-se "
            "com as setas para ver a ata; clique para fixá-lo.",
        ),
        "strip_hint": (
            "The longer the bar under a token, the more it surprised the model. Dashed frame: yours; solid: written by the model.",
            "Quanto maior a barra sob um token, mais ele surpreendeu o modelo. Moldura tracejada: seu; contínua: do modelo.",
        ),
        "given": ("yours", "seu"),
        "own": ("written by the model", "escrito pelo modelo"),
        "cost": ("Surprise", "Surpresa"),
        "chance": ("probability", "probabilidade"),
        "expected": ("The model expected", "O modelo esperava"),
        "next": ("After the text it expects", "Depois do texto ele espera"),
        "bits": ("bits", "bits"),
        "layer": ("Layer", "Camada"),
        "expert": ("Expert", "Especialista"),
        "scores_hint": (
            "Outline: the score before the meeting. Filled: after it. The chosen are marked with their rank.",
            "Contorno: a pontuação antes da reunião. Cheio: depois dela. Os escolhidos levam sua colocação.",
        ),
        "before": ("before", "antes"),
        "after": ("after", "depois"),
        "weight": ("Weight", "Peso"),
        "share": ("Share", "Parte"),
        "muted": ("mute", "mudo"),
        "peers": ("How the chosen look at each other", "Como os escolhidos se olham"),
        "peers_hint": ("row looks at column", "a linha olha a coluna"),
        "no_peers": ("The chosen do not confer in this model.", "Os escolhidos não conversam neste modelo."),
        "no_experts": (
            "This model has no experts, so there is no council; its tokens and their surprise are shown.",
            "Este modelo não tem especialistas, portanto não há conselho; são mostrados os tokens e a surpresa.",
        ),
        "who": ("Who was chosen, token by token", "Quem foi escolhido, token a token"),
        "who_hint": (
            "A column per token, a row per expert; the fuller a mark, the more weight. Left: each expert's share of all choices.",
            "Uma coluna por token, uma linha por especialista; quanto mais cheia a marca, maior o peso. À esquerda: a parte de cada um.",
        ),
        "end_of_text": ("end of text", "fim do texto"),
        "load": ("Share of the choices", "Parte das escolhas"),
        "token": ("Token", "Token"),
        "of_all": ("of", "de"),
        "of_tokens": ("tokens", "tokens"),
        "summary": ("bits per byte over these tokens", "bits por byte nestes tokens"),
        # the story
        "story": ("The ministers' story: how a council decides", "A história dos ministros: como um conselho decide"),
        "story_proposals": (
            "Every word that the model reads comes before a council of ministers, its <b>experts</b>, and each of them drafts a proposal.",
            "Cada palavra que o modelo lê chega a um conselho de ministros, seus <b>especialistas</b>, e cada um rascunha uma proposta.",
        ),
        "story_council": (
            "Every word that the model reads comes before a council of ministers, its <b>experts</b>.",
            "Cada palavra que o modelo lê chega a um conselho de ministros, seus <b>especialistas</b>.",
        ),
        "story_meeting": (
            "Before anything is decided they <b>meet</b>: each hears what the others have in mind, and the first scores change.",
            "Antes de qualquer decisão eles se <b>reúnem</b>: cada um ouve o que os outros têm em mente, e as primeiras notas mudam.",
        ),
        "story_vote": (
            "Then comes the <b>vote</b>: of the {n} ministers the {k} with the highest scores are chosen, each with a weight to match.",
            "Depois vem a <b>votação</b>: dos {n} ministros são escolhidos os {k} com as maiores notas, cada um com seu peso.",
        ),
        "story_vote_one": (
            "Then comes the <b>vote</b>: of the {n} ministers the one with the highest score is chosen.",
            "Depois vem a <b>votação</b>: dos {n} ministros é escolhido o que tem a maior nota.",
        ),
        "story_vote_all": (
            "Then comes the <b>vote</b>: all {n} ministers are chosen, each with a weight to match its score.",
            "Depois vem a <b>votação</b>: todos os {n} ministros são escolhidos, cada um com o peso de sua nota.",
        ),
        "story_confer": (
            "The chosen <b>confer</b>: each looks at its peers and mends its proposal by what it learns.",
            "Os escolhidos <b>conversam</b>: cada um olha seus pares e emenda sua proposta com o que aprende.",
        ),
        "story_answer": (
            "Their proposals, added up by weight, are <b>one answer</b>, which goes to the next layer's council; whether so much talk pays "
            "off is a question for measurement.",
            "As propostas, somadas pelo peso, são <b>uma só resposta</b>, que segue para o conselho da próxima camada; se tanta conversa "
            "vale a pena, só medindo.",
        ),
        "story_answer_sparse": (
            "Their proposals, added up by weight, are <b>one answer</b>, which goes to the next layer's council.",
            "As propostas, somadas pelo peso, são <b>uma só resposta</b>, que segue para o conselho da próxima camada.",
        ),
        "story_answer_one": (
            "Its proposal is the <b>answer</b>, which goes to the next layer's council.",
            "Sua proposta é a <b>resposta</b>, que segue para o conselho da próxima camada.",
        ),
        "to_compare": ("Does it help? See the measurements", "Isso ajuda? Veja as medições"),
        # what if
        "what_if_intro": (
            "Mute an expert or favour it, and see what becomes of a text: which tokens change, and what the model's loss on it does.",
            "Cale um especialista ou favoreça-o, e veja o que muda em um texto: quais tokens mudam e o que acontece com a perda do modelo.",
        ),
        "if_text": ("Your text", "Seu texto"),
        "if_text_hint": ("A text to judge, and to continue", "Um texto para julgar e continuar"),
        "if_go": ("Compare", "Comparar"),
        "if_empty": ("Both texts appear here", "Os dois textos aparecem aqui"),
        "if_empty_hint": ("Give a text, and mute or favour an expert.", "Dê um texto e cale ou favoreça um especialista."),
        "board_mute": ("Mute", "Calar"),
        "board_normal": ("Normal", "Normal"),
        "board_favour": ("Favour", "Favorecer"),
        "board_layer": ("Where", "Onde"),
        "board_all": ("every layer", "todas as camadas"),
        "board_strength": ("Strength of favour", "Força do favor"),
        "board_none": (
            "The model in use has no experts to mute, or must be loaded first.",
            "O modelo em uso não tem especialistas a calar, ou precisa ser carregado antes.",
        ),
        "loss_bpb": ("Bits per byte of your text", "Bits por byte do seu texto"),
        "loss_nats": ("Loss, nats per token", "Perda, nats por token"),
        "best_changed": ("Most probable token changed", "Token mais provável mudou"),
        "of_places": ("{n} of {all} places", "{n} de {all} lugares"),
        "continuation": ("Continuation", "Continuação"),
        "parted": ("parts at token {place}", "se separa no token {place}"),
        "never_parted": ("the same, token by token", "a mesma, token por token"),
        "verdict_same": ("no difference", "sem diferença"),
        "verdict_worse": ("worse", "pior"),
        "verdict_better": ("better", "melhor"),
        "without": ("As it is", "Como é"),
        "with": ("With your change", "Com a sua mudança"),
        "over": ("the text ends", "o texto acaba"),
        "effect": ("Your text, token by token", "Seu texto, token por token"),
        "effect_hint": (
            "Bits that each token costs more (+) or less (−). Below: the most probable token at its place, where it became another.",
            "Bits que cada token custa a mais (+) ou a menos (−). Abaixo: o token mais provável ali, onde passou a ser outro.",
        ),
        # does it help?
        "compare_intro": (
            "The same text, the same steps, several seeds: the council against simpler layers, and against itself with a part left out. "
            "Fewer bits per byte are better.",
            "O mesmo texto, os mesmos passos, várias sementes: o conselho contra camadas mais simples, e contra ele mesmo sem uma parte. "
            "Menos bits por byte é melhor.",
        ),
        "no_comparison": (
            "No comparison ships with this copy yet; <code>python benchmarks/moc_compare.py</code> measures it.",
            "Esta cópia ainda não traz a comparação; <code>python benchmarks/moc_compare.py</code> a mede.",
        ),
        "bad_comparison": ("The comparison cannot be shown: {reason}", "A comparação não pode ser mostrada: {reason}"),
        "equal_active": ("At equal active parameters and steps", "Com parâmetros ativos e passos iguais"),
        "equal_compute": ("At equal compute", "Com computação igual"),
        "dots_equal_active": (
            "Bits per byte on unseen text, at equal active parameters",
            "Bits por byte em texto novo, com parâmetros ativos iguais",
        ),
        "dots_equal_compute": ("Bits per byte on unseen text, at equal compute", "Bits por byte em texto novo, com computação igual"),
        "curves_equal_active": (
            "Learning curves at equal active parameters: bits per byte over the steps",
            "Curvas de aprendizado com parâmetros ativos iguais: bits por byte ao longo dos passos",
        ),
        "curves_equal_compute": (
            "Learning curves at equal compute: cheaper layers take more steps",
            "Curvas de aprendizado com computação igual: camadas mais baratas dão mais passos",
        ),
        "table": (
            "All variants: mean ± standard deviation, each seed below",
            "Todas as variantes: média ± desvio padrão, cada semente abaixo",
        ),
        "col_variant": ("Layer", "Camada"),
        "col_bpb": ("Bits per byte", "Bits por byte"),
        "col_gap": ("MoC minus it (95 %)", "MoC menos ela (95 %)"),
        "col_steps": ("Steps", "Passos"),
        "col_active": ("Active parameters", "Parâmetros ativos"),
        "col_parameters": ("Parameters", "Parâmetros"),
        "col_macs": ("Work per token", "Trabalho por token"),
        "col_cpu": ("CPU time", "Tempo de CPU"),
        "col_rate": ("Learning rate", "Taxa de aprendizado"),
        "setup": (
            "{steps} steps of {batch} texts of {length} tokens, {n} seeds, on {text}. Work is multiply-accumulates. Measured with:",
            "{steps} passos de {batch} textos de {length} tokens, {n} sementes, em {text}. Trabalho: multiplicações com soma. Medido com:",
        ),
        "scored": (
            "What is scored are the first {n} tokens of its validation text: few works, or mostly one.",
            "São avaliados os primeiros {n} tokens de seu texto de validação: poucas obras, ou quase só uma.",
        ),
        "to_write": ("See a council at work", "Ver um conselho em ação"),
        # model
        "active": ("Active for a token", "Ativos para um token"),
        "layers": ("Layers", "Camadas"),
        "experts": ("Experts", "Especialistas"),
        "council_of": ("{k} of {n} chosen in each layer", "{k} de {n} escolhidos em cada camada"),
        "no_council": ("none", "nenhum"),
        "meets": ("They meet before the choice", "Reúnem-se antes da escolha"),
        "confers": ("The chosen confer", "Os escolhidos conversam"),
        "vocabulary": ("Vocabulary", "Vocabulário"),
        "window": ("Looks back on", "Olha para trás"),
        "window_of": ("{n} tokens", "{n} tokens"),
        "limit_truth": (
            "It is small: it writes in the manner of its texts and knows no facts. Do not take what it writes for true.",
            "É pequeno: escreve à maneira de seus textos e não conhece fatos. Não tome por verdade o que ele escreve.",
        ),
        "limit_style": (
            "It knows the manner of the texts that its card names; other languages and topics come out badly.",
            "Conhece a maneira dos textos que seu cartão nomeia; outras línguas e assuntos saem mal.",
        ),
        "limit_window": (
            "It looks back on {window} tokens; what lies further back is forgotten, and the page says so.",
            "Olha {window} tokens para trás; o que fica antes é esquecido, e a página avisa.",
        ),
        "limit_cost": (
            "All experts are heard for every token, so a council costs more work than choosing without one.",
            "Todos os especialistas são ouvidos a cada token, e por isso um conselho custa mais trabalho que escolher sem ele.",
        ),
    },
)

EXAMPLES = {  # (what the button says, the prompt), in the manner of what the checkpoint has read
    "en": (
        ("Once upon a time", "Once upon a time"),
        ("A scene", "One night in June, Captain Barrow"),
        ("What is ice?", "What is ice?"),
        ("A loop in Python", "How to write a loop in Python\n\n"),
        ("A speech", "Speech in the town square\n\n"),
        ("A question", "Marina forgot her green bell in the forest.\n\nQuestion: What did Marina forget?\nAnswer:"),
        ("How to pack a school bag", "How to pack a school bag\n\n"),
    ),
    "pt-BR": (
        ("Era uma vez", "Era uma vez uma menina"),
        ("Uma cena", "Numa noite de junho, a viúva Noronha"),
        ("O que é o gelo?", "O que é o gelo?"),
        ("Um laço em Python", "Como escrever um laço em Python\n\n"),
        ("Um discurso", "Discurso na praça da cidade\n\n"),
        ("Machado de Assis", "Uma noite destas, vindo da cidade para o Engenho Novo,"),
        ("Uma pergunta", "Caio ganhou um relógio amarelo e foi ao farol.\n\nPergunta: O que Caio ganhou?\nResposta:"),
        ("Como fazer", "Como dar banho no cachorro\n\n"),
    ),
}

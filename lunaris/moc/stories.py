"""Procedural stories, facts and passages in Portuguese and English: any number of short, grammatical texts that need no network.

All stories tell of one small world, the Moon Village: each child keeps its age, pet, trait and wish, each place its sights and its keeper,
each animal its food, in every document of both languages. `lunaris.moc.passages` adds texts of another kind: scenes of a town long ago,
explanations, programming and speeches. How a text is put together, and how its words agree: `lunaris.moc.grammar`.

Document i is a pure function of (seed, i, split, languages). Every genre ties two things together, such as a child and a place; of each
genre one pair in ten is held out for validation, the same pairs in both languages (of explanations in this order: rain told apart from
wind may be held out, and wind from rain be read; and some are of one thing alone). A model which continues a validation text has read no
text of that genre about its pair, though maybe one of another, and has combined what it knows. Each language has more than ten million
distinct training documents: the errands alone name a child, a place (288 pairs of 320 are for training), another place (15), a thing in a
colour (20 · 9) and a friend (19), which makes 14.7 million.
"""

# ruff: noqa: E501 (a line of a template is one sentence of the text, with its alternatives)

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lunaris.moc import passages
from lunaris.moc.grammar import EN_NUMBERS, LANGUAGES, PT_NUMBERS, Dice, En, Pt, en_count, fill, pt_count

SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Story:
    """A text with its language (pt, en), its genre, and the group of its pair: "genre/first/second"."""

    text: str
    language: str
    genre: str
    group: str


def make(n: int, *, seed: int = 0, split: str = "train", languages: Sequence[str] = LANGUAGES) -> list[Story]:
    """Stories 0 … n - 1."""
    return [story(index, seed=seed, split=split, languages=languages) for index in range(n)]


def story(index: int, *, seed: int = 0, split: str = "train", languages: Sequence[str] = LANGUAGES) -> Story:
    """Document `index` of the endless series for `seed`, in one of `languages`. Raises ValueError for an unknown language or split."""
    if not languages or not set(languages) <= set(LANGUAGES):
        raise ValueError(f"languages of stories must be of {', '.join(LANGUAGES)}, got {', '.join(languages) or 'none'}; try pt")
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}; try 'train'")
    dice = Dice(seed, index, split)
    language, genre = dice.pick(tuple(languages)), dice.pick(_WEIGHTED)
    firsts, seconds, write = _GENRES[genre]
    a, b = dice.pick(_pairs(len(firsts), len(seconds), split))
    return Story(write(dice, language, a, b), language, genre, f"{genre}/{firsts[a][1]}/{seconds[b][1]}")


def is_validation(a: int, b: int) -> bool:
    """Whether the pair of the a-th and the b-th thing of a genre is held out: one in ten for every a, as near as its numbers allow."""
    return (a + 3 * b) % 10 == 0


@functools.cache
def _pairs(firsts: int, seconds: int, split: str) -> list[tuple[int, int]]:
    return [(a, b) for a in range(firsts) for b in range(seconds) if is_validation(a, b) == (split == "validation")]


# --- the world: (Portuguese, English, …) ------------------------------------------------------------------------------------------

VILLAGE = ("Vila da Lua", "Moon Village")

# name, gender, age, trait (m/f), likes to, pet (row of PETS) and its name, fruit (row of FRUITS)
KIDS = (
    ("Ana", "Anna", "f", 7, ("curioso/curiosa", "curious"), ("desenhar", "draw"), 0, "Mingau", 0),
    ("Pedro", "Peter", "m", 8, ("corajoso/corajosa", "brave"), ("nadar", "swim"), 1, "Trovão", 1),
    ("Lia", "Leah", "f", 6, ("tímido/tímida", "shy"), ("cantar", "sing"), 2, "Algodão", 2),
    ("Bento", "Ben", "m", 9, ("paciente/paciente", "patient"), ("pescar", "fish"), 3, "Vagarosa", 3),
    ("Clara", "Clara", "f", 10, ("alegre/alegre", "cheerful"), ("dançar", "dance"), 4, "Verdinho", 4),
    ("Davi", "David", "m", 7, ("distraído/distraída", "dreamy"), ("ler", "read"), 0, "Bigode", 5),
    ("Elisa", "Elisa", "f", 8, ("cuidadoso/cuidadosa", "careful"), ("cozinhar", "cook"), 1, "Pipoca", 6),
    ("Caio", "Kai", "m", 6, ("teimoso/teimosa", "stubborn"), ("correr", "run"), 2, "Floco", 7),
    ("Marina", "Marina", "f", 9, ("gentil/gentil", "gentle"), ("juntar conchas", "collect shells"), 3, "Pedrinha", 8),
    ("Miguel", "Michael", "m", 10, ("esperto/esperta", "clever"), ("jogar xadrez", "play chess"), 4, "Limão", 9),
    ("Irene", "Irene", "f", 7, ("calmo/calma", "calm"), ("olhar as estrelas", "watch the stars"), 0, "Fumaça", 1),
    ("Rafael", "Ralph", "m", 8, ("bondoso/bondosa", "kind"), ("plantar flores", "plant flowers"), 1, "Faísca", 2),
    ("Beatriz", "Beatrice", "f", 6, ("falante/falante", "talkative"), ("contar histórias", "tell stories"), 2, "Neve", 3),
    ("Lucas", "Luke", "m", 9, ("sonhador/sonhadora", "thoughtful"), ("tocar violão", "play the guitar"), 3, "Tamborim", 4),
    ("Helena", "Helen", "f", 10, ("valente/valente", "daring"), ("subir em árvores", "climb trees"), 4, "Kiwi", 5),
    ("Otávio", "Oscar", "m", 7, ("brincalhão/brincalhona", "playful"), ("jogar bola", "play ball"), 0, "Tigre", 6),
    ("Sofia", "Sophie", "f", 8, ("generoso/generosa", "generous"), ("escrever cartas", "write letters"), 1, "Canela", 7),
    ("Artur", "Arthur", "m", 6, ("sério/séria", "serious"), ("montar quebra-cabeças", "do puzzles"), 2, "Nuvem", 8),
    ("Júlia", "Julia", "f", 9, ("rápido/rápida", "quick"), ("andar de bicicleta", "ride a bicycle"), 3, "Ventania", 9),
    ("Hugo", "Hugo", "m", 10, ("quieto/quieta", "quiet"), ("observar pássaros", "watch birds"), 4, "Esmeralda", 0),
)
PETS = (
    ("gato", "cat", "m"),
    ("cachorro", "dog", "m"),
    ("coelho", "rabbit", "m"),
    ("tartaruga", "turtle", "f"),
    ("papagaio", "parrot", "m"),
)
FRUITS = (
    ("maçã", "apple", "f"), ("banana", "banana", "f"), ("laranja", "orange", "f"), ("manga", "mango", "f"), ("pera", "pear", "f"),
    ("melancia", "watermelon", "f"), ("abacaxi", "pineapple", "m"), ("morango", "strawberry", "m"), ("goiaba", "guava", "f"),
    ("pêssego", "peach", "m"),
)  # fmt: skip

# place, gender | what one sees, hears, smells there | its keeper: names, gender, job | a word for the place
PLACES = (
    ("praia", "beach", "f", ("as ondas brancas", "the white waves"), ("o barulho do mar", "the roar of the sea"),
     ("cheiro de sal", "salt"), ("Rui", "Roy", "m", "salva-vidas", "lifeguard"), ("largo/larga", "wide")),
    ("floresta", "forest", "f", ("as árvores altas", "the tall trees"), ("o canto dos pássaros", "the singing of the birds"),
     ("cheiro de terra molhada", "wet earth"), ("Teresa", "Theresa", "f", "guarda-florestal", "forest ranger"), ("escuro/escura", "dark")),
    ("montanha", "mountain", "f", ("as pedras cinzentas", "the grey rocks"), ("o assobio do vento", "the whistling of the wind"),
     ("cheiro de pinheiro", "pine"), ("Anselmo", "Anselm", "m", "pastor", "shepherd"), ("alto/alta", "high")),
    ("margem do lago", "lakeshore", "f", ("a água parada", "the still water"), ("o coaxar dos sapos", "the croaking of the frogs"),
     ("cheiro de capim", "grass"), ("Lourdes", "Laura", "f", "construtora de barcos", "boat builder"), ("calmo/calma", "calm")),
    ("beira do rio", "riverside", "f", ("os peixes pequenos", "the little fish"), ("a água correndo", "the running water"),
     ("cheiro de barro", "clay"), ("Nuno", "Noah", "m", "oleiro", "potter"), ("fresco/fresca", "cool")),
    ("praça", "square", "f", ("os bancos de madeira", "the wooden benches"), ("a música da banda", "the music of the band"),
     ("cheiro de pipoca", "popcorn"), ("Dalva", "Della", "f", "pipoqueira", "popcorn seller"), ("animado/animada", "lively")),
    ("mercado", "market", "m", ("as barracas coloridas", "the colourful stalls"), ("o pregão dos vendedores", "the calls of the sellers"),
     ("cheiro de fruta madura", "ripe fruit"), ("Joaquim", "Jack", "m", "vendedor de frutas", "fruit seller"), ("cheio/cheia", "crowded")),
    ("biblioteca", "library", "f", ("as estantes cheias de livros", "the shelves full of books"),
     ("o virar das páginas", "the turning of pages"), ("cheiro de papel antigo", "old paper"),
     ("Cecília", "Cecily", "f", "bibliotecária", "librarian"), ("silencioso/silenciosa", "silent")),
    ("fazenda", "farm", "f", ("as vacas no pasto", "the cows in the meadow"), ("o canto do galo", "the crowing of the rooster"),
     ("cheiro de feno", "hay"), ("Mateus", "Matthew", "m", "fazendeiro", "farmer"), ("grande/grande", "big")),
    ("jardim", "garden", "m", ("as flores abertas", "the open flowers"), ("o zumbido das abelhas", "the buzzing of the bees"),
     ("cheiro de rosas", "roses"), ("Rosa", "Rose", "f", "jardineira", "gardener"), ("bonito/bonita", "lovely")),
    ("porto", "harbour", "m", ("os barcos de pesca", "the fishing boats"), ("o grito das gaivotas", "the cries of the gulls"),
     ("cheiro de peixe", "fish"), ("Vicente", "Vincent", "m", "pescador", "fisherman"), ("movimentado/movimentada", "busy")),
    ("moinho", "mill", "m", ("as pás girando", "the turning sails"), ("o ranger da madeira", "the creaking of the wood"),
     ("cheiro de farinha", "flour"), ("Amélia", "Amelia", "f", "moleira", "miller"), ("antigo/antiga", "old")),
    ("farol", "lighthouse", "m", ("a escada em caracol", "the winding stairs"), ("o vento nas janelas", "the wind in the windows"),
     ("cheiro de maresia", "the sea"), ("Simão", "Simon", "m", "faroleiro", "lighthouse keeper"), ("branco/branca", "white")),
    ("ponte", "bridge", "f", ("o rio lá embaixo", "the river down below"), ("o som dos passos", "the sound of footsteps"),
     ("cheiro de madeira velha", "old wood"), ("Lídia", "Lydia", "f", "pintora", "painter"), ("comprido/comprida", "long")),
    ("estação", "station", "f", ("os trilhos compridos", "the long rails"), ("o apito do trem", "the whistle of the train"),
     ("cheiro de carvão", "coal"), ("Gaspar", "Jasper", "m", "maquinista", "train driver"), ("pequeno/pequena", "small")),
    ("escola", "school", "f", ("os desenhos nas paredes", "the drawings on the walls"), ("o sino do recreio", "the bell for the break"),
     ("cheiro de giz", "chalk"), ("Carmem", "Carmen", "f", "professora", "teacher"), ("claro/clara", "bright")),
)  # fmt: skip

# object, gender | what it is for | what it is made of
OBJECTS = (
    ("chave", "key", "f", ("abrir a porta de casa", "open the front door"), ("metal", "metal")),
    ("lanterna", "lantern", "f", ("iluminar o caminho", "light the way"), ("metal e vidro", "metal and glass")),
    ("mapa", "map", "m", ("encontrar o caminho", "find the way"), ("papel", "paper")),
    ("bola", "ball", "f", ("jogar com os amigos", "play with friends"), ("couro", "leather")),
    ("pipa", "kite", "f", ("brincar com o vento", "play with the wind"), ("papel fino", "thin paper")),
    ("flauta", "flute", "f", ("tocar música", "play music"), ("madeira", "wood")),
    ("caixa", "box", "f", ("guardar segredos", "keep secrets"), ("madeira", "wood")),
    ("relógio", "clock", "m", ("saber as horas", "tell the time"), ("metal e vidro", "metal and glass")),
    ("chapéu", "hat", "m", ("proteger a cabeça do sol", "keep the sun off"), ("palha", "straw")),
    ("livro", "book", "m", ("conhecer novas histórias", "discover new stories"), ("papel", "paper")),
    ("espelho", "mirror", "m", ("ver o próprio rosto", "see a face in the glass"), ("vidro", "glass")),
    ("cesta", "basket", "f", ("carregar frutas", "carry fruit"), ("palha", "straw")),
    ("sino", "bell", "m", ("chamar as pessoas", "call people"), ("metal", "metal")),
    ("corda", "rope", "f", ("amarrar o barco", "tie up the boat"), ("algodão", "cotton")),
    ("balde", "bucket", "m", ("carregar água", "carry water"), ("metal", "metal")),
    ("barraca", "tent", "f", ("dormir ao ar livre", "sleep outdoors"), ("pano grosso", "thick cloth")),
    ("cobertor", "blanket", "m", ("espantar o frio", "keep the cold away"), ("lã", "wool")),
    ("tambor", "drum", "m", ("marcar o ritmo", "keep the beat"), ("madeira e couro", "wood and leather")),
    ("pincel", "paintbrush", "m", ("pintar quadros", "paint pictures"), ("madeira", "wood")),
    ("bolsa", "bag", "f", ("levar as coisas da escola", "carry school things"), ("couro", "leather")),
)  # fmt: skip
COLOURS = (
    ("vermelho/vermelha", "red"), ("azul/azul", "blue"), ("verde/verde", "green"), ("amarelo/amarela", "yellow"),
    ("branco/branca", "white"), ("preto/preta", "black"), ("roxo/roxa", "purple"), ("marrom/marrom", "brown"),
    ("cinzento/cinzenta", "grey"),
)  # fmt: skip

# animal, gender, plurals | eats | lives | legs | can; from small to big
ANIMALS = (
    ("formiga", "ant", "f", "formigas", "ants", ("folhas e sementes", "leaves and seeds"), ("no formigueiro", "in an anthill"), 6,
     ("carregar coisas mais pesadas do que o próprio corpo", "carry things heavier than its own body")),
    ("abelha", "bee", "f", "abelhas", "bees", ("néctar e pólen", "nectar and pollen"), ("na colmeia", "in a hive"), 6,
     ("fazer mel", "make honey")),
    ("borboleta", "butterfly", "f", "borboletas", "butterflies", ("o néctar das flores", "the nectar of flowers"),
     ("nos campos e jardins", "in fields and gardens"), 6, ("voar de flor em flor", "fly from flower to flower")),
    ("aranha", "spider", "f", "aranhas", "spiders", ("insetos", "insects"), ("na teia", "in a web"), 8,
     ("tecer uma teia", "spin a web")),
    ("sapo", "toad", "m", "sapos", "toads", ("insetos e minhocas", "insects and worms"), ("perto da água", "near the water"), 4,
     ("pegar moscas com a língua", "catch flies with its tongue")),
    ("esquilo", "squirrel", "m", "esquilos", "squirrels", ("nozes e sementes", "nuts and seeds"), ("nas árvores", "in the trees"), 4,
     ("saltar de galho em galho", "jump from branch to branch")),
    ("coruja", "owl", "f", "corujas", "owls", ("ratos e insetos", "mice and insects"), ("no oco das árvores", "in hollow trees"), 2,
     ("ver bem no escuro", "see well in the dark")),
    ("galinha", "hen", "f", "galinhas", "hens", ("milho e minhocas", "corn and worms"), ("no galinheiro", "in a henhouse"), 2,
     ("botar ovos", "lay eggs")),
    ("pato", "duck", "m", "patos", "ducks", ("plantas da água e insetos", "water plants and insects"), ("na beira do lago", "by the lake"), 2,
     ("nadar e voar", "swim and fly")),
    ("coelho", "rabbit", "m", "coelhos", "rabbits", ("capim e cenouras", "grass and carrots"), ("na toca", "in a burrow"), 4,
     ("correr em zigue-zague", "run in zigzags")),
    ("gato", "cat", "m", "gatos", "cats", ("peixe e carne", "fish and meat"), ("perto das pessoas", "close to people"), 4,
     ("andar sem fazer barulho", "walk without a sound")),
    ("raposa", "fox", "f", "raposas", "foxes", ("frutas e animais pequenos", "fruit and small animals"), ("na floresta", "in the forest"), 4,
     ("ouvir um rato debaixo da neve", "hear a mouse under the snow")),
    ("cachorro", "dog", "m", "cachorros", "dogs", ("carne e ração", "meat and dog food"), ("perto das pessoas", "close to people"), 4,
     ("seguir um cheiro por muito tempo", "follow a smell for a long time")),
    ("ovelha", "sheep", "f", "ovelhas", "sheep", ("capim", "grass"), ("no pasto", "in the meadow"), 4,
     ("dar lã", "give wool")),
    ("lobo", "wolf", "m", "lobos", "wolves", ("carne", "meat"), ("nas florestas frias", "in cold forests"), 4,
     ("uivar para chamar o grupo", "howl to call its pack")),
    ("urso", "bear", "m", "ursos", "bears", ("peixes, frutas e mel", "fish, fruit and honey"),
     ("nas montanhas e florestas", "in mountains and forests"), 4, ("dormir durante o inverno", "sleep through the winter")),
    ("cavalo", "horse", "m", "cavalos", "horses", ("capim e aveia", "grass and oats"), ("no estábulo", "in a stable"), 4,
     ("galopar muito depressa", "gallop very fast")),
    ("vaca", "cow", "f", "vacas", "cows", ("capim", "grass"), ("no pasto", "in the meadow"), 4, ("dar leite", "give milk")),
    ("girafa", "giraffe", "f", "girafas", "giraffes", ("folhas das árvores altas", "leaves of tall trees"),
     ("na savana", "on the savanna"), 4, ("alcançar os galhos mais altos", "reach the highest branches")),
    ("elefante", "elephant", "m", "elefantes", "elephants", ("capim, folhas e frutas", "grass, leaves and fruit"),
     ("na savana", "on the savanna"), 4, ("pegar coisas com a tromba", "pick things up with its trunk")),
)  # fmt: skip
SKILLS = (  # what the keeper of each place can teach
    ("nadar no mar", "swim in the sea"), ("reconhecer pegadas", "read tracks"), ("cuidar das ovelhas", "look after the sheep"),
    ("construir um barco", "build a boat"), ("fazer um vaso de barro", "make a clay pot"), ("fazer pipoca doce", "make sweet popcorn"),
    ("escolher frutas maduras", "choose ripe fruit"), ("consertar livros rasgados", "mend torn books"),
    ("tirar leite das vacas", "milk the cows"), ("podar as roseiras", "prune the roses"), ("lançar a rede", "cast the net"),
    ("moer o trigo", "grind the wheat"), ("acender a luz do farol", "light the lamp of the lighthouse"),
    ("pintar paisagens", "paint landscapes"), ("entender os sinais do trem", "understand the train signals"),
    ("escrever poemas", "write poems"),
)  # fmt: skip
NIGHT_ANIMALS, TREES, SMALL_FRUITS = (4, 6, 9, 10, 11), (0, 2, 3, 4, 8, 9), (0, 1, 2, 3, 4, 7, 8, 9)
GIFTS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 16, 17, 18, 19)

# name | ingredients: (amount for one batch, one, many, gender, of what) | steps
RECIPES = (
    (("salada de frutas", "fruit salad"),
     ((1, "manga", "mangas", "f", "", "mango", "mangoes", ""), (2, "banana", "bananas", "f", "", "banana", "bananas", ""),
      (1, "laranja", "laranjas", "f", "", "orange", "oranges", ""), (1, "colher", "colheres", "f", " de mel", "spoon", "spoons", " of honey")),
     ("Lave as frutas em água limpa.", "Descasque tudo e corte em pedaços pequenos.", "Misture as frutas em uma tigela.",
      "Coloque o mel por cima e sirva a salada fria."),
     ("Wash the fruit in clean water.", "Peel everything and cut it into small pieces.", "Mix the fruit in a bowl.",
      "Pour the honey on top and serve the salad cold.")),
    (("panquecas", "pancakes"),
     ((2, "ovo", "ovos", "m", "", "egg", "eggs", ""), (1, "xícara", "xícaras", "f", " de leite", "cup", "cups", " of milk"),
      (1, "xícara", "xícaras", "f", " de farinha", "cup", "cups", " of flour"),
      (1, "pitada", "pitadas", "f", " de sal", "pinch", "pinches", " of salt")),
     ("Bata os ovos com o leite.", "Junte a farinha aos poucos, sem parar de mexer.", "Tempere com o sal e deixe a massa descansar.",
      "Frite cada panqueca em uma frigideira quente, dos dois lados."),
     ("Beat the eggs with the milk.", "Add the flour little by little and keep stirring.", "Add the salt and let the batter rest.",
      "Fry each pancake in a hot pan, on both sides.")),
    (("sopa de legumes", "vegetable soup"),
     ((2, "cenoura", "cenouras", "f", "", "carrot", "carrots", ""), (2, "batata", "batatas", "f", "", "potato", "potatoes", ""),
      (1, "cebola", "cebolas", "f", "", "onion", "onions", ""), (4, "xícara", "xícaras", "f", " de água", "cup", "cups", " of water")),
     ("Descasque os legumes.", "Corte tudo em cubos.", "Ponha os legumes na panela com a água.",
      "Cozinhe em fogo baixo até ficarem macios e tempere com sal."),
     ("Peel the vegetables.", "Cut everything into cubes.", "Put the vegetables into a pot with the water.",
      "Cook on a low heat until they are soft, and season with salt.")),
    (("limonada", "lemonade"),
     ((3, "limão", "limões", "m", "", "lemon", "lemons", ""), (4, "copo", "copos", "m", " de água", "glass", "glasses", " of water"),
      (2, "colher", "colheres", "f", " de açúcar", "spoon", "spoons", " of sugar")),
     ("Esprema os limões.", "Misture o suco com a água.", "Adoce com o açúcar e mexa bem.", "Sirva com gelo."),
     ("Squeeze the lemons.", "Mix the juice with the water.", "Sweeten it with the sugar and stir well.", "Serve it with ice.")),
    (("omelete de queijo", "cheese omelette"),
     ((2, "ovo", "ovos", "m", "", "egg", "eggs", ""), (1, "fatia", "fatias", "f", " de queijo", "slice", "slices", " of cheese"),
      (1, "colher", "colheres", "f", " de manteiga", "spoon", "spoons", " of butter")),
     ("Quebre os ovos em uma tigela e bata bem.", "Derreta a manteiga na frigideira.", "Despeje os ovos e espere ficarem firmes.",
      "Ponha o queijo, dobre ao meio e sirva."),
     ("Break the eggs into a bowl and beat them well.", "Melt the butter in the pan.", "Pour in the eggs and wait until they are firm.",
      "Add the cheese, fold it in half and serve.")),
    (("chocolate quente", "hot chocolate"),
     ((2, "xícara", "xícaras", "f", " de leite", "cup", "cups", " of milk"),
      (2, "colher", "colheres", "f", " de cacau", "spoon", "spoons", " of cocoa"),
      (1, "colher", "colheres", "f", " de açúcar", "spoon", "spoons", " of sugar")),
     ("Aqueça o leite sem deixar ferver.", "Misture o cacau com o açúcar.", "Junte tudo ao leite e mexa até dissolver.",
      "Sirva bem quente."),
     ("Warm the milk but do not let it boil.", "Mix the cocoa with the sugar.", "Add everything to the milk and stir until it dissolves.",
      "Serve it hot.")),
    (("arroz", "rice"),
     ((1, "xícara", "xícaras", "f", " de arroz", "cup", "cups", " of rice"),
      (2, "xícara", "xícaras", "f", " de água", "cup", "cups", " of water"),
      (1, "dente", "dentes", "m", " de alho", "clove", "cloves", " of garlic")),
     ("Lave o arroz.", "Refogue o alho em um pouco de óleo.", "Junte o arroz, a água e uma pitada de sal.",
      "Cozinhe em fogo baixo, com a panela tampada, até a água secar."),
     ("Wash the rice.", "Fry the garlic in a little oil.", "Add the rice, the water and a pinch of salt.",
      "Cook on a low heat with the lid on until the water is gone.")),
)  # fmt: skip
CRAFTS = (  # how to …: what one needs, steps
    (("plantar uma semente", "plant a seed"), ("um vaso, terra, água e uma semente", "a pot, soil, water and a seed"),
     ("Encha o vaso com terra.", "Faça um buraco pequeno com o dedo.", "Coloque a semente e cubra com terra.",
      "Regue um pouco todos os dias e deixe o vaso perto da janela."),
     ("Fill the pot with soil.", "Make a small hole with your finger.", "Put in the seed and cover it with soil.",
      "Water it a little every day and keep the pot near the window.")),
    (("lavar bem as mãos", "wash hands well"), ("água, sabão e uma toalha", "water, soap and a towel"),
     ("Molhe as mãos.", "Passe sabão nas palmas, entre os dedos e nos pulsos.", "Esfregue por vinte segundos.",
      "Enxágue com água limpa e seque com a toalha."),
     ("Wet your hands.", "Soap your palms, between your fingers and your wrists.", "Rub for twenty seconds.",
      "Rinse with clean water and dry them with the towel.")),
    (("mandar uma carta", "send a letter"), ("papel, caneta, um envelope e um selo", "paper, a pen, an envelope and a stamp"),
     ("Escreva a data no alto da folha.", "Cumprimente a pessoa pelo nome e conte as novidades.", "Assine no fim.",
      "Ponha a carta no envelope, escreva o endereço, cole o selo e leve ao correio."),
     ("Write the date at the top of the page.", "Greet the person by name and tell the news.", "Sign it at the end.",
      "Put the letter into the envelope, write the address, add the stamp and take it to the post office.")),
    (("pôr a mesa", "set the table"), ("pratos, garfos, facas e copos", "plates, forks, knives and glasses"),
     ("Limpe a mesa com um pano.", "Ponha um prato na frente de cada cadeira.", "Deixe o garfo à esquerda e a faca à direita.",
      "Coloque o copo acima da faca."),
     ("Wipe the table with a cloth.", "Put a plate in front of each chair.", "Lay the fork on the left and the knife on the right.",
      "Place the glass above the knife.")),
    (("dar banho no cachorro", "wash the dog"), ("água morna, xampu para cachorros e uma toalha", "warm water, dog shampoo and a towel"),
     ("Escove o pelo.", "Molhe o cachorro devagar, sem molhar as orelhas por dentro.", "Passe o xampu e faça espuma.",
      "Enxágue bem e seque com a toalha."),
     ("Brush the coat.", "Wet the dog slowly, but not inside its ears.", "Put on the shampoo and make it foam.",
      "Rinse well and dry it with the towel.")),
    (("arrumar a mochila", "pack a school bag"), ("a mochila, os cadernos e o estojo", "the bag, the notebooks and the pencil case"),
     ("Tire tudo de dentro da mochila.", "Jogue fora os papéis velhos.", "Veja quais são as aulas do dia seguinte.",
      "Guarde os cadernos maiores atrás e o estojo na frente."),
     ("Take everything out of the bag.", "Throw away the old papers.", "Look up the lessons of the next day.",
      "Put the bigger notebooks at the back and the pencil case in front.")),
)  # fmt: skip

# --- little stories ---------------------------------------------------------------------------------------------------------------

_WHEN = {
    "pt": ("numa manhã de sol", "numa tarde de vento", "num sábado de manhã", "certo dia", "um dia", "num domingo à tarde",
           "no começo da primavera", "no fim do verão", "depois da escola"),
    "en": ("one sunny morning", "one windy afternoon", "one Saturday morning", "one day", "one fine day", "one Sunday afternoon",
           "at the beginning of spring", "at the end of summer", "after school"),
}  # fmt: skip
_WHERE = {
    "pt": ("ao lado do caminho", "debaixo de um banco", "atrás de um barril", "atrás de um muro"),
    "en": ("beside the path", "under a bench", "behind a barrel", "behind a wall"),
}

_OPENING = {
    "pt": """
{kid.Um} {h[chamado/chamada]} {h} morava na Vila da Lua. | Era uma vez {kid.um} {h[chamado/chamada]} {h}. | {h} era {kid.um} da Vila da Lua. | Na Vila da Lua vivia {kid.um} {h[chamado/chamada]} {h}.
{h.Ele} tinha {age} anos e gostava de {like}. | {h.Ele} tinha {age} anos. | O que {h.ele} mais gostava de fazer era {like}. | Todos diziam que, com {age} anos, ninguém sabia {like} como {h.ele}.
? Em casa, {h.ele} tinha {pet.um} {pet[chamado/chamada]} {n}. | {pet[Seu melhor companheiro/Sua melhor companheira]} era {n}, {pet.um}.
/
""",
    "en": """
{kid.A} called {h} lived in Moon Village. | Once upon a time there was {kid.a} called {h}. | {h} was {kid.a} from Moon Village. | In Moon Village there lived {kid.a} called {h}.
{h.He} was {age} years old and liked to {like}. | {h.He} was {age} years old. | What {h.he} liked best was to {like}. | Everybody said that no other {age}-year-old could {like} as well as {h.he} could.
? {h.He} had {pet.a} called {n}. | {h.His} best companion was {pet.a} called {n}.
/
""",
}  # fmt: skip

_PLOTS = {
    "lost": {
        "pt": """
{when}, {h} levou {x.seu} para {p.o}. | {when}, {h} foi {p.ao} com {x.seu}.
? Lá {h.ele} viu {sight} e ouviu {sound}. | {p.O} estava {p[cheio/cheia]} de gente, e {h} parou para ver {sight}.
Na hora de voltar para casa, {h} percebeu que {x.o} não estava mais com {h.ele}. | Quando quis ir embora, {h.ele} viu que {x.o} tinha sumido. | Depois de andar muito, {h} não encontrou mais {x.o}.
{h.Ele} procurou por todos os lados, mas não achou nada. | {h.Ele} olhou por todos os cantos e ficou {h[preocupado/preocupada]}. | {h.Ele} voltou pelo mesmo caminho, bem devagar, mas foi em vão.
/
{a}, {j.o} da vila, chegou perto e perguntou o que tinha acontecido. | Então apareceu {a}, que trabalhava ali como {j}. | Foi {a}, {j.o} da vila, quem viu {h} naquela tristeza.
— Perdi {x.meu} — disse {h}, quase chorando. | — Não sei onde está {x.meu} — explicou {h}. | — {x.Meu} sumiu! — contou {h}.
— Calma, vamos procurar {ha[juntos/juntas]} — disse {a}. | — Não fique triste, eu ajudo você — respondeu {a}. | — Nada some para sempre — disse {a}. — Vamos procurar outra vez.
{ha[Os dois/As duas]} procuraram com paciência e acharam {x.o} {where}. | Pouco depois, {a} encontrou {x.o} {where}. | Em pouco tempo, {h} deu um grito de alegria: {x.o} estava {where}!
{h} agradeceu e voltou para casa {h[aliviado/aliviada]}. | {h} agradeceu a {a} e prometeu cuidar melhor das suas coisas. | Naquela noite, {h} dormiu com {x.o} ao lado da cama.
""",
        "en": """
{when}, {h} took {h.his} {x} to {p.the}. | {when}, {h} went to {p.the} with {h.his} {x}.
? There {h.he} saw {sight} and heard {sound}. | {p.The} was full of people, and {h} stopped to look at {sight}.
When it was time to go home, {h} noticed that {x.the} was gone. | When {h.he} wanted to leave, {h.he} could not find {x.the}. | After a long walk, {h} saw that {x.the} was missing.
{h.He} looked everywhere but found nothing. | {h.He} searched every corner and began to worry. | {h.He} walked back the same way, very slowly, but it was no use.
/
{a}, the {j}, came up and asked what had happened. | Then {a} appeared, who worked there as {j.a}. | It was {a}, the {j}, who saw how sad {h} was.
"I have lost my {x}," said {h}, close to tears. | "I don't know where my {x} is," {h} explained. | "My {x} is gone!" said {h}.
"Stay calm, we will look for it together," said {a}. | "Don't be sad, I will help you," {a} answered. | "Nothing is lost for ever," said {a}. "Let us look again."
They searched patiently and found {x.the} {where}. | A little later {a} found {x.the} {where}. | Before long {h} gave a shout of joy: {x.the} was {where}!
{h} said thank you and went home happy. | {h} thanked {a} and promised to take better care of things. | That night {h} slept with {x.the} beside the bed.
""",
    },
    "found": {
        "pt": """
{when}, {h} passeava {p.pelo} quando viu {x.um} {where}. | {when}, {h} encontrou {x.um} {p.no}, {where}.
— De quem será? — pensou {h} em voz alta. | — Alguém deve estar sentindo falta disto — pensou {h}.
{h.Ele} perguntou a {a}, {j.o} da vila, mas {a.ele} também não sabia. | {a}, {j.o} da vila, nunca tinha visto aquilo antes.
? — Isso serve para {use} — disse {a}. — Alguém vai precisar. | — Pergunte na vila — aconselhou {a}.
/
No caminho de casa, {h} encontrou {f}, que procurava alguma coisa e parecia triste. | Na rua seguinte, {f} estava {f[sentado/sentada]} na calçada, com cara de choro.
— O que aconteceu? — perguntou {h}. | — Por que você está assim? — quis saber {h}.
— Perdi {x.meu} — respondeu {f}. | — Deixei {x.meu} {p.no} e não acho mais — disse {f}.
{h} sorriu e mostrou o que tinha encontrado. | {h} tirou {x.o} de trás das costas. | Sem dizer nada, {h} entregou {x.o}.
{f} pulou de alegria e deu um abraço em {h}. | {f} mal podia acreditar em tanta sorte.
Daquele dia em diante, {hf[os dois/as duas]} nunca mais se separaram. | Devolver o que é dos outros faz bem, pensou {h}. | — {f[Obrigado/Obrigada]}, você é {h[um amigo/uma amiga]} de verdade — disse {f}.
""",
        "en": """
{when}, {h} was walking by {p.the} when {h.he} saw {x.a} {where}. | {when}, {h} found {x.a} near {p.the}, {where}.
"Whose can it be?" {h} wondered. | "Somebody must be missing this," thought {h}.
{h.He} asked {a}, the {j}, but {a.he} did not know either. | {a}, the {j}, had never seen it before.
? "It is used to {use}," said {a}. "Somebody will need it." | "Ask in the village," {a} advised.
/
On the way home {h} met {f}, who was looking for something and seemed sad. | In the next street {f} was sitting on the kerb and looked very sad.
"What happened?" asked {h}. | "Why are you so sad?" {h} wanted to know.
"I have lost my {x}," answered {f}. | "I left my {x} near {p.the} and cannot find it," said {f}.
{h} smiled and showed what {h.he} had found. | {h} took {x.the} from behind {h.his} back. | Without a word {h} held out {x.the}.
{f} jumped for joy and gave {h} a hug. | {f} could hardly believe such luck.
From that day on the two were never apart. | It feels good to give back what belongs to others, thought {h}. | "Thank you, you are a true friend," said {f}.
""",
    },
    "pet": {
        "pt": """
{when}, {h} procurou {n}, mas não viu {pet.o} em lugar nenhum. | {when}, {n} desapareceu.
{pet.O} não estava no quintal, nem na cozinha, nem debaixo da cama. | {h} chamou muitas vezes, mas {n} não veio.
{h} saiu de casa com {x.seu} e foi até {p.o}. | {h} correu até {p.o}, o lugar de que {n} mais gostava.
? De longe se ouvia {sound}. | No ar havia {smell}.
/
— Você viu {pet.meu}? — perguntou {h} a {a}, {j.o} da vila. | — {a}, {n} passou por aqui? — perguntou {h}. {j.O} da vila pensou um pouco.
— Sim, agora mesmo — respondeu {a}. — Foi para aquele lado. | — Acho que ouvi um barulho ali perto — respondeu {a}.
{h} procurou com cuidado e ouviu um ruído {where}. | {h} deu alguns passos e viu alguma coisa se mexer {where}.
Era {n}, {pet[cansado/cansada]} e com fome! | Era {n}, {pet[assustado/assustada]}, mas {pet[inteiro/inteira]}!
{h} pegou {n} no colo e voltou para casa. | {h} abraçou {pet.o} e quase chorou de alegria.
Naquela noite, {n} dormiu ao lado da cama {h.do}. | Desde então, {h} fecha o portão todas as noites.
""",
        "en": """
{when}, {h} looked for {n}, but {pet.the} was nowhere to be seen. | {when}, {n} disappeared.
{pet.The} was not in the yard, nor in the kitchen, nor under the bed. | {h} called many times, but {n} did not come.
{h} left the house with {h.his} {x} and went as far as {p.the}. | {h} ran to {p.the}, the place that {n} liked best.
? From far away one could hear {sound}. | There was a smell of {smell} in the air.
/
"Have you seen my {pet}?" {h} asked {a}, the {j}. | "{a}, did {n} come this way?" asked {h}. The {j} thought for a moment.
"Yes, just now," answered {a}. "It went that way." | "I think I heard a noise over there," answered {a}.
{h} searched carefully and heard a sound {where}. | {h} took a few steps and saw something move {where}.
It was {n}, tired and hungry! | It was {n}, frightened but safe!
{h} picked {n} up and went home. | {h} hugged {pet.the} and almost cried for joy.
That night {n} slept beside {h}'s bed. | Ever since, {h} has closed the gate every night.
""",
    },
    "storm": {
        "pt": """
{when}, {h} e {f} foram {p.ao}. | {when}, {h} convidou {f} para um passeio {p.no}.
{h} levou {x.seu}, e {f} levou um pedaço de bolo. | {f} levava {x.um}, e {h} levava um pedaço de bolo.
De repente, o vento ficou forte e o céu escureceu. | No começo tudo estava calmo, mas logo as nuvens cobriram o céu.
Um trovão fez {f} tremer de medo. | A chuva caiu tão forte que ninguém via o caminho. | Um raio iluminou {p.o}, e {f} gritou de susto.
/
— Venham para cá! — gritou {a}, {j.o} da vila. | — Corram, entrem aqui! — chamou {a}, que trabalhava ali como {j}.
{hf[Os dois/As duas]} correram até a casa de {a} e se sentaram perto do fogo. | {a} abriu a porta, e {hf[os dois/as duas]} entraram {hf[molhados/molhadas]} até os ossos.
{a} serviu chá quente e contou uma história antiga. | {a} trouxe duas toalhas e fez chocolate quente.
Quando a chuva passou, um arco-íris apareceu no céu. | Uma hora depois, o sol voltou a brilhar.
— {f[Obrigado/Obrigada]} pela ajuda — disse {f}, antes de ir embora. | {h} nunca esqueceu aquele dia. | Desde então, {h} e {f} visitam {a} todos os domingos.
""",
        "en": """
{when}, {h} and {f} went to {p.the}. | {when}, {h} invited {f} for a walk to {p.the}.
{h} took along {h.his} {x}, and {f} took a piece of cake. | {f} carried {x.a}, and {h} carried a piece of cake.
Suddenly the wind grew strong and the sky turned dark. | At first everything was calm, but soon clouds covered the sky.
A clap of thunder made {f} tremble with fear. | The rain fell so hard that nobody could see the path. | Lightning lit up {p.the}, and {f} cried out.
/
"Come over here!" shouted {a}, the {j}. | "Run, come inside!" called {a}, who worked there as {j.a}.
The two ran to {a}'s house and sat down by the fire. | {a} opened the door, and the two came in, wet to the bone.
{a} served hot tea and told an old story. | {a} brought two towels and made hot chocolate.
When the rain was over, a rainbow appeared in the sky. | An hour later the sun was shining again.
"Thank you for your help," said {f} before they left. | {h} never forgot that day. | Ever since, {h} and {f} have visited {a} every Sunday.
""",
    },
    "gift": {
        "pt": """
O aniversário {f.do} estava chegando, e {h} queria dar um presente especial. | Faltava uma semana para o aniversário {f.do}, e {h} ainda não tinha um presente.
{when}, {h} foi {p.ao} e pediu um conselho a {a}, {j.o} da vila. | {when}, {h} encontrou {a}, {j.o} da vila, {p.no}, e pediu ajuda.
— O melhor presente é aquele que se usa todos os dias — disse {a}. | — Pense no que {f} gosta de fazer — respondeu {a}.
{h} juntou suas moedas e comprou {gift.um}. | {h} quebrou o cofrinho, contou as moedas e comprou {gift.um}.
? {h.Ele} embrulhou tudo em papel colorido. | {h.Ele} escreveu um cartão com letra bem bonita.
/
No dia da festa, {f} abriu o pacote e arregalou os olhos. | Quando {f} abriu o presente, todos ficaram em silêncio.
— {gift.Um}! Agora vou poder {gift_use}! — disse {f}. | — Era o que eu mais queria para {gift_use}! — gritou {f}.
{h} ficou mais feliz do que se tivesse ganhado o presente. | {hf[Os dois/As duas]} brincaram até o sol se pôr. | {f} guardou {gift.o} com carinho por muitos anos.
""",
        "en": """
{f}'s birthday was coming, and {h} wanted to give a special present. | {f}'s birthday was only a week away, and {h} had no present yet.
{when}, {h} went to {p.the} and asked {a}, the {j}, for advice. | {when}, {h} met {a}, the {j}, near {p.the} and asked for help.
"The best present is one that is used every day," said {a}. | "Think of what {f} likes to do," answered {a}.
{h} saved {h.his} coins and bought {gift.a}. | {h} broke the piggy bank, counted the coins and bought {gift.a}.
? {h.He} wrapped it in coloured paper. | {h.He} wrote a card in {h.his} best handwriting.
/
On the day of the party {f} opened the parcel with wide eyes. | When {f} opened the present, everybody was silent.
"{gift.A}! Now I can {gift_use}!" said {f}. | "That is just what I wanted, to {gift_use}!" cried {f}.
{h} was happier than if the present had been for {h.him}. | They played together until the sun went down. | {f} treasured {gift.the} for many years.
""",
    },
    "learn": {
        "pt": """
{h} sempre quis aprender a {skill}. | Havia muito tempo que {h} queria aprender a {skill}.
{when}, {h.ele} tomou coragem e foi {p.ao} falar com {a}, {j.o} da vila. | {when}, {h.ele} procurou {a}, que trabalhava {p.no} como {j}.
— Você me ensina a {skill}? — perguntou {h}. | — Quero aprender a {skill} — disse {h}, com a voz firme.
— Ensino, mas é preciso ter paciência — respondeu {a}. | — Vamos começar já — respondeu {a}, com um sorriso.
/
No primeiro dia, nada deu certo. | A primeira tentativa foi um desastre. | Era mais difícil do que parecia.
? {f} passou por ali e riu, mas {h} nem ligou. | {h} pensou em desistir, mas ouviu {sound} e respirou fundo.
— Errar faz parte — disse {a}. — Tente de novo. | — Ninguém nasce sabendo — disse {a}.
{h} tentou outra vez, e mais outra, até conseguir. | Depois de {weeks} semanas de treino, {h} finalmente conseguiu.
Para comemorar, {a} deu a {h} {x.um}. | {a} ficou {a[orgulhoso/orgulhosa]} e deu a {h} {x.um} de presente.
Hoje, {h} já ensina {f} a {skill}. | Quem tem paciência aprende, pensou {h}. | À noite, {h} contou tudo em casa, sem esconder a alegria.
""",
        "en": """
{h} had always wanted to learn to {skill}. | For a long time {h} had wanted to learn to {skill}.
{when}, {h.he} took heart and went to {p.the} to talk to {a}, the {j}. | {when}, {h.he} went to see {a}, who worked {p.at} as {j.a}.
"Will you teach me to {skill}?" asked {h}. | "I want to learn to {skill}," said {h} in a firm voice.
"I will teach you, but you need to be patient," answered {a}. | "Let us begin at once," answered {a} with a smile.
/
On the first day nothing went well. | The first try was a disaster. | It was harder than it looked.
? {f} passed by and laughed, but {h} did not mind. | {h} thought of giving up, but then {h.he} heard {sound} and took a deep breath.
"Mistakes are part of it," said {a}. "Try again." | "Nobody is born a master," said {a}.
{h} tried again, and once more, until it worked. | After {weeks} weeks of practice {h} finally managed it.
To celebrate, {a} gave {h} {x.a}. | {a} was proud and gave {h} {x.a} as a present.
Now {h} is teaching {f} to {skill}. | Those who are patient learn, thought {h}. | In the evening {h} told the whole family, full of joy.
""",
    },
    "share": {
        "pt": """
{when}, {h} ganhou de {a}, {j.o} da vila, uma cesta com {fruits}. | {when}, {a}, {j.o} da vila, deu a {h} {fruits} em uma cesta.
{h} queria comer tudo {h[sozinho/sozinha]}, mas {p.no} encontrou {f}, que não tinha lanche. | No caminho {p.do}, {h} encontrou {f}, que estava com muita fome.
? {f} olhava para a cesta sem dizer nada. | — Que cheiro bom! — disse {f}.
{h} contou as frutas: eram {k}. | {h} contou as frutas duas vezes, e eram {k}.
— Metade é sua — disse {h}, e deu {half} a {f}. | — Vamos dividir — disse {h}. Cada {hf[um/uma]} ficou com {half}.
/
{hf[Os dois/As duas]} se sentaram para comer e olhar {sight}. | {hf[Os dois/As duas]} comeram devagar, ouvindo {sound}.
{f} quis retribuir e emprestou {x.seu} a {h}. | — Amanhã eu trago {x.meu} para você usar — prometeu {f}.
Dividir deixa tudo mais gostoso, pensou {h}. | Desde aquele dia, {hf[os dois/as duas]} dividem o lanche na escola. | A cesta voltou vazia, mas {h} voltou feliz.
""",
        "en": """
{when}, {a}, the {j}, gave {h} a basket with {fruits}. | {when}, {h} got {fruits} in a basket from {a}, the {j}.
{h} wanted to eat them all alone, but near {p.the} {h.he} met {f}, who had no snack. | On the way to {p.the} {h} met {f}, who was very hungry.
? {f} looked at the basket and said nothing. | "What a good smell!" said {f}.
{h} counted the fruit: there were {k}. | {h} counted the fruit twice, and there were {k}.
"Half of it is yours," said {h} and gave {f} {half}. | "Let us share," said {h}. Each of them got {half}.
/
The two sat down to eat and to look at {sight}. | They ate slowly and listened to {sound}.
In return {f} lent {h} {f.his} {x}. | "Tomorrow I will bring my {x} for you to use," {f} promised.
Everything tastes better when it is shared, thought {h}. | Ever since, the two have shared their snack at school. | The basket came home empty, but {h} came home happy.
""",
    },
    "night": {
        "pt": """
Era noite, e {h} não conseguia dormir. | No meio da noite, {h} acordou de repente.
Alguma coisa fazia barulho perto da janela. | Um barulho estranho vinha do quintal.
{h} pegou {x.seu}, criou coragem e saiu bem devagar. | {h} se enrolou no cobertor e foi olhar.
Primeiro, {h.ele} viu uma sombra comprida. Depois, ouviu um ruído baixinho. | O vento soprava, e as folhas se mexiam no escuro.
— Quem está aí? — perguntou {h}, com a voz tremendo. | — Tem alguém aí? — perguntou {h}, bem baixinho.
/
Era só {beast.um}, que procurava comida! | Dois olhos brilharam: era {beast.um}!
{h} riu do próprio medo e voltou para a cama. | {h} respirou {h[aliviado/aliviada]} e ficou olhando {beast.o} ir embora.
No dia seguinte, {h.ele} contou tudo a {f} {p.no}. | De manhã, {p.no}, {f} ouviu a história inteira e não acreditou.
? {a}, {j.o} da vila, explicou que {beast.esse} come {eats}. | — {beast.Um} não faz mal a ninguém — explicou {a}, {j.o} da vila.
Quem olha de perto perde o medo, pensou {h}. | Na noite seguinte, {h} dormiu muito bem.
""",
        "en": """
It was night, and {h} could not sleep. | In the middle of the night {h} woke up with a start.
Something was making a noise near the window. | A strange noise came from the yard.
{h} took {h.his} {x}, gathered {h.his} courage and went out very slowly. | {h} wrapped a blanket around {h.his} shoulders and went to look.
First {h.he} saw a long shadow. Then {h.he} heard a soft rustle. | The wind was blowing, and the leaves moved in the dark.
"Who is there?" asked {h} in a trembling voice. | "Is anybody there?" {h} whispered.
/
It was only {beast.a} looking for food! | Two eyes were shining: it was {beast.a}!
{h} laughed at {h.his} own fear and went back to bed. | {h} breathed again and watched {beast.the} disappear.
The next day {h.he} told {f} all about it near {p.the}. | In the morning, near {p.the}, {f} heard the whole story and did not believe it.
? {a}, the {j}, explained that {beast.a} eats {eats}. | "{beast.A} does no harm to anybody," explained {a}, the {j}.
Those who look closely lose their fear, thought {h}. | The next night {h} slept very well.
""",
    },
    "tree": {
        "pt": """
{when}, {a}, {j.o} da vila, deu a {h} uma semente de {seed}. | {when}, {h} foi {p.ao} e ganhou de {a}, {j.o} da vila, uma semente de {seed}.
— Plante, regue todos os dias e espere — disse {a}. | — Com água, sol e paciência, ela vira uma árvore — disse {a}.
{h} fez um buraco atrás da casa, pôs a semente e cobriu com terra. | {h} escolheu um canto do quintal e plantou a semente com cuidado.
Para marcar o lugar, {h.ele} deixou ali {x.seu}. | Ao lado, {h.ele} pôs {x.um}, para não esquecer o lugar.
{weeks} semanas se passaram, e nada apareceu. | Durante {weeks} semanas, só se via terra.
— Isso não vai nascer — disse {f}. | — Essa semente está velha — disse {f}.
Mas {h} não desistiu e continuou a regar. | {h} não respondeu e foi buscar mais água.
/
Uma manhã, uma folhinha verde saiu da terra. | Um dia, depois da chuva, apareceu um broto verde.
{h} correu {p.ao} para contar a {a}. | — Nasceu! — gritou {h}, e {f} veio correndo.
Anos depois, a árvore dava {seeds} para a vila inteira. | Hoje a árvore é grande, e todos comem {seeds} debaixo dela.
""",
        "en": """
{when}, {a}, the {j}, gave {h} {seed.a} seed. | {when}, {h} went to {p.the} and was given {seed.a} seed by {a}, the {j}.
"Plant it, water it every day and wait," said {a}. | "With water, sun and patience it will become a tree," said {a}.
{h} dug a hole behind the house, put in the seed and covered it with soil. | {h} chose a corner of the yard and planted the seed with care.
To mark the place, {h.he} left {h.his} {x} there. | Next to it {h.he} put {x.a}, so as not to forget the place.
{weeks} weeks went by, and nothing happened. | For {weeks} weeks there was nothing but soil.
"Nothing will grow there," said {f}. | "That seed is too old," said {f}.
But {h} did not give up and kept watering it. | {h} did not answer and went to fetch more water.
/
One morning a little green leaf came out of the ground. | One day, after the rain, there was a green shoot.
{h} ran to {p.the} to tell {a}. | "It is growing!" cried {h}, and {f} came running.
Years later the tree gave {seeds} to the whole village. | Today the tree is tall, and everybody eats {seeds} under it.
""",
    },
    "errand": {
        "pt": """
{when}, {a}, {j.o} da vila, chamou {h} {p.no}. | {when}, {h} passava {p.pelo} quando ouviu {a}, {j.o} da vila, chamar.
— Leve {x.este} para {b}, por favor — pediu {a}. — {b.Ele} está {q.no}. | — Você pode levar {x.este} para {b}, {q.no}? — pediu {a}.
{h} pegou {x.o} e saiu na mesma hora. | — Pode deixar — disse {h}, e saiu correndo.
No meio do caminho, apareceu {f}, que queria brincar. | Na metade do caminho, {f} chamou {h} para brincar.
— Agora não posso, mas volto logo — disse {h}. | — Depois eu brinco, porque dei minha palavra — respondeu {h}.
/
{q.No}, {h} sentiu {q_smell} e logo viu {b}, {jb.o} da vila. | Quando chegou, {h.ele} ouviu {q_sound}, e {b}, {jb.o} da vila, acenou de longe.
— Era o que faltava para {use}! — disse {b}. | — Que bom! Agora já posso {use} — disse {b}.
{b} deu a {h} uma fatia de bolo e um copo de suco. | Como agradecimento, {b} deu a {h} {fruit.um}.
Na volta, {h} brincou com {f} até a noite. | {h} voltou {p.ao} e contou tudo a {a}. | Quem cumpre a palavra pode brincar em paz, pensou {h}.
""",
        "en": """
{when}, {a}, the {j}, called {h} over to {p.the}. | {when}, {h} was passing by {p.the} when {a}, the {j}, called out.
"Please take this {x} to {b}," said {a}. "{b.He} is {q.at}." | "Can you take this {x} to {b} {q.at}?" asked {a}.
{h} took {x.the} and left at once. | "Of course," said {h} and ran off.
Halfway there {f} turned up and wanted to play. | Halfway there {f} asked {h} to come and play.
"I can't now, but I will be back soon," said {h}. | "I will play later, because I gave my word," answered {h}.
/
{q.At} there was a smell of {q_smell}, and soon {h} saw {b}, the {jb}. | On arriving, {h} heard {q_sound}, and {b}, the {jb}, waved from afar.
"This is just what I needed to {use}!" said {b}. | "How good! Now I can {use}," said {b}.
{b} gave {h} a slice of cake and a glass of juice. | To say thank you, {b} gave {h} {fruit.a}.
On the way back {h} played with {f} until the evening. | {h} went back to {p.the} and told {a} everything. | Those who keep their word can play in peace, thought {h}.
""",
    },
}  # fmt: skip


def _kid(language: str, row: Sequence) -> Pt | En:
    return Pt(row[0], row[2], name=True) if language == "pt" else En(row[1], row[2], name=True)


def _thing(language: str, row: Sequence, colour: Sequence | None = None) -> Pt | En:
    """A thing by its row (Portuguese, English, gender, …), in a colour."""
    if language == "pt":
        bare = Pt(row[0], row[2])
        return Pt(f"{row[0]} {bare[colour[0]]}", row[2]) if colour else bare
    return En(f"{colour[1]} {row[1]}" if colour else row[1])


def _keeper(language: str, row: Sequence) -> tuple[Pt | En, Pt | En]:
    """The name and the job of a place's keeper."""
    pt_name, en_name, gender, pt_job, en_job = row[6]
    if language == "pt":
        return Pt(pt_name, gender, name=True), Pt(pt_job, gender)
    return En(en_name, gender, name=True), En(en_job, gender)


def _pair(*rows: Sequence) -> Pt:
    """A group of people, whose form is feminine only when all are."""
    return Pt("", "f" if all(row[2] == "f" for row in rows) else "m")


def _plural(language: str, row: Sequence) -> tuple[str, str]:
    """Singular and plural of a fruit."""
    if language == "pt":
        return row[0], f"{row[0]}s"
    word = row[1]
    return word, word[:-1] + "ies" if word.endswith("y") else word + ("es" if word.endswith(("ch", "go")) else "s")


def _count(language: str, n: int, row: Sequence) -> str:
    one, many = _plural(language, row)
    return pt_count(n, one, many, row[2]) if language == "pt" else en_count(n, one, many)


def _number(language: str, n: int, gender: str = "m") -> str:
    return pt_count(n, "", "", gender).strip() if language == "pt" else EN_NUMBERS[n]


def _roles(dice: Dice, language: str, kid: Sequence, place: Sequence) -> dict[str, object]:
    """Everything a template may name, for a hero and a place; the rest of the cast is drawn."""
    said = LANGUAGES.index(language)
    friend = dice.pick([row for row in KIDS if row is not kid])
    other = dice.pick([row for row in PLACES if row is not place])
    thing, gift = dice.pick(OBJECTS), OBJECTS[dice.pick(GIFTS)]
    half, fruit, tree = 2 + dice.pick(range(4)), FRUITS[dice.pick(SMALL_FRUITS)], FRUITS[dice.pick(TREES)]
    beast = ANIMALS[dice.pick(NIGHT_ANIMALS)]
    a, j = _keeper(language, place)
    b, jb = _keeper(language, other)
    h, pet_row = _kid(language, kid), PETS[kid[6]]
    if language == "pt":
        who = Pt("menino" if kid[2] == "m" else "menina", kid[2])
        kind = Pt(f"{who} {who[kid[4][0]]}", kid[2])
    else:
        who = En("boy" if kid[2] == "m" else "girl")
        kind = En(f"{kid[4][1]} {who}", kid[2])
    return {
        "h": h, "child": who, "kid": kind, "age": _number(language, kid[3]), "like": kid[5][said], "pet": _thing(language, pet_row), "n": kid[7],
        "f": _kid(language, friend), "hf": _pair(kid, friend), "p": _thing(language, place), "sight": place[3][said],
        "sound": place[4][said], "smell": place[5][said], "a": a, "j": j, "ha": _pair(kid, place[6]), "skill": SKILLS[PLACES.index(place)][said],
        "q": _thing(language, other), "q_sound": other[4][said], "q_smell": other[5][said], "b": b, "jb": jb,
        "x": _thing(language, thing, dice.pick(COLOURS)), "x_bare": _thing(language, thing), "use": thing[3][said], "made": thing[4][said],
        "gift": _thing(language, gift, dice.pick(COLOURS)), "gift_use": gift[3][said], "when": dice.pick(_WHEN[language][: -1 if place is PLACES[-1] else None]),
        "where": dice.pick(_WHERE[language]), "weeks": _number(language, 2 + dice.pick(range(5)), "f"),
        "fruits": _count(language, 2 * half, fruit), "k": _number(language, 2 * half, fruit[2]), "half": _count(language, half, fruit),
        "fruit": _thing(language, FRUITS[kid[8]]), "seed": _thing(language, tree), "seeds": _plural(language, tree)[1],
        "beast": _thing(language, beast), "eats": beast[5][said],
    }  # fmt: skip


def _little_story(dice: Dice, language: str, kid: int, place: int) -> str:
    plot = _PLOTS[dice.pick(tuple(_PLOTS))][language]
    opening = _OPENING[language] if dice.chance(0.75) else ""
    return fill(dice, opening + plot, _roles(dice, language, KIDS[kid], PLACES[place]))


# --- descriptions, dialogues, letters ---------------------------------------------------------------------------------------------

_PLACE = {
    "pt": """
{p.O} é um lugar {word} da Vila da Lua. | Na Vila da Lua, {p.o} é um lugar {word}, e todos o conhecem.
Quem chega lá vê {sight} e ouve {sound}. | Lá se ouve {sound}, e logo ao chegar dá para ver {sight}.
No ar há {smell}. | Quem respira fundo sente {smell}.
É ali que trabalha {a}, {j.o} da vila. | Quem cuida do lugar é {a}, {j.o} da vila, que sabe {skill} como ninguém.
/
{h}, {kid.um} de {age} anos, vai lá quase todos os dias. | {h} gosta de ir até lá com {f}.
? {h.Ele} sempre leva {n}, {pet.seu}, e {fruit.um} para o lanche. | {n}, {pet.o} {h.do}, conhece bem o caminho.
De manhã há pouca gente, e de tarde o movimento aumenta. | No verão, as crianças ficam lá até o anoitecer. | No inverno, o lugar fica mais quieto, mas não menos bonito.
Foi {p.no} que {h} aprendeu a {skill}. | Um dia, {h} encontrou {x.um} ali, {where}. | — É o meu lugar preferido — diz {h}.
""",
    "en": """
{p.The} is {word.a} place in Moon Village. | In Moon Village, {p.the} is {word.a} place, and everybody knows it.
Whoever comes there sees {sight} and hears {sound}. | One can hear {sound} there, and on arriving one sees {sight}.
There is a smell of {smell} in the air. | Whoever takes a deep breath smells {smell}.
This is where {a}, the {j}, works. | {a}, the {j}, looks after the place and knows how to {skill} better than anybody.
/
{h}, {kid.a} of {age}, goes there almost every day. | {h} likes to go there with {f}.
? {h.He} always takes along {n}, {h.his} {pet}, and {fruit.a} for a snack. | {n}, {h}'s {pet}, knows the way well.
In the morning there are few people, and in the afternoon it gets busier. | In summer the children stay there until dark. | In winter the place is quieter, but no less beautiful.
It was near {p.the} that {h} learned to {skill}. | One day {h} found {x.a} there, {where}. | "It is my favourite place," says {h}.
""",
}  # fmt: skip

_PERSON = {
    "pt": """
{h} tem {age} anos e mora na Vila da Lua. | {h} é {child.um} de {age} anos.
{h.Ele} é {trait} e gosta muito de {like}. | Todos dizem que {h.ele} é {trait}. {h.Ele} adora {like}.
{h.Ele} tem {pet.um} {pet[chamado/chamada]} {n}. | {n}, {pet.seu}, está sempre por perto.
Sua fruta preferida é {fruit.o}. | No lanche, {h} sempre come {fruit.um}.
/
O objeto de que {h.ele} mais gosta é {x.um}. | {h} cuida muito bem de {x.seu}.
{x.O} é de {made} e serve para {use}. | {h} usa {x.o} para {use}.
? {f} também queria {x.um}. | De vez em quando, {h} empresta {x.o} a {f}.
À noite, {x.o} fica ao lado da cama {h.do}. | — Não troco {x.meu} por nada — diz {h}.
""",
    "en": """
{h} is {age} years old and lives in Moon Village. | {h} is {child.a} of {age}.
{h.He} is {trait} and likes to {like}. | Everybody says that {h.he} is {trait}. {h.He} loves to {like}.
{h.He} has {pet.a} called {n}. | {n}, {h.his} {pet}, is always close by.
{h.His} favourite fruit is the {fruit}. | {h} always eats {fruit.a} as a snack.
/
The thing {h.he} likes best is {x.a}. | {h} takes good care of {h.his} {x}.
It is made of {made} and is used to {use}. | {h} uses the {x} to {use}.
? {f} would like {x.a} too. | Now and then {h} lends the {x} to {f}.
At night the {x} lies beside {h}'s bed. | "I would not give my {x} away for anything," says {h}.
""",
}  # fmt: skip

_DIALOGUES = {
    "pt": (
        """
— Bom dia, {a}! — disse {h}. | — Oi, {a}! — disse {h}.
— Bom dia, {h}! O que você faz {p.no} tão cedo? — perguntou {a}. | — Olá, {h}! O que traz você {p.ao}? — perguntou {a}.
— Vim ver {sight}. — {h} olhou em volta. | — Vim procurar {x.meu} — respondeu {h}.
— Então fique à vontade — disse {a}. | — Se precisar de ajuda, é só chamar — disse {a}.
— {a}, é difícil ser {j}? — quis saber {h}. | — O que é preciso saber para ser {j}? — perguntou {h}.
— É preciso saber {skill} e acordar cedo, mas vale a pena — explicou {a}. | — Não é fácil: é preciso aprender a {skill} — explicou {a}.
— Quando eu crescer, quero ser {h_job} também! — disse {h}. | — Um dia você me ensina? — pediu {h}.
— Vou gostar muito disso — respondeu {a}. | — Volte quando quiser — respondeu {a}, sorrindo.
""",
        """
— Com licença, como eu chego {q.ao}? — perguntou {h}. | — {a}, qual é o caminho {q.do}? — perguntou {h}.
— Saindo {p.do}, siga em frente e vire à {side} — explicou {a}, {j.o} da vila. | — É fácil: vire à {side} na segunda rua — respondeu {a}, {j.o} da vila.
— É muito longe? — quis saber {h}. | — Dá para ir a pé? — perguntou {h}.
— São {minutes} minutos a pé — disse {a}. | — Em {minutes} minutos você chega — disse {a}.
— E como eu sei que cheguei? — perguntou {h}.\\n— Quando ouvir {q_sound}, você chegou — respondeu {a}. | — E se eu me perder? — perguntou {h}.\\n— Pergunte por {b}, {jb.o} da vila, que todos conhecem — respondeu {a}.
— Muito {h[obrigado/obrigada]}! — disse {h}. | — {h[Obrigado/Obrigada]}, {a}! Até logo! — disse {h}.
— De nada, e boa caminhada! — disse {a}. | — Vá com cuidado — disse {a}.
""",
        """
— {h}, você quer ir {p.ao} comigo amanhã? — perguntou {f}. | — Amanhã vou {p.ao} — contou {f}. — Você vem?
— Com prazer! A que horas? — perguntou {h}. | — Boa ideia, mas só depois do almoço — respondeu {h}.
— Às {hour} horas está bom? — sugeriu {f}. | — Pode ser às {hour} horas? — perguntou {f}.
— Está ótimo. Posso levar {n}? — perguntou {h}. | — Combinado. Vou levar {n} também — disse {h}.
— Claro, {pet.o} também vai gostar de ver {sight}. | — Claro! E eu levo {x.um} — disse {f}.
— Então eu levo {fruit.um} para o lanche — disse {h}. | — E eu levo o suco — disse {h}.
— Até amanhã, {h}!\\n— Até amanhã! | — Não se atrase! — riu {f}.\\n— Pode deixar, até amanhã! — respondeu {h}.
""",
    ),
    "en": (
        """
"Good morning, {a}!" said {h}. | "Hello, {a}!" said {h}.
"Good morning, {h}! What brings you to {p.the} so early?" asked {a}. | "Hello, {h}! What brings you to {p.the}?" asked {a}.
"I came to see {sight}," said {h} and looked around. | "I came to look for my {x}," answered {h}.
"Then take your time," said {a}. | "If you need help, just call me," said {a}.
"{a}, is it hard to be {j.a}?" {h} wanted to know. | "What must you know to be {j.a}?" asked {h}.
"You must know how to {skill} and get up early, but it is worth it," explained {a}. | "It is not easy: you must learn to {skill}," explained {a}.
"When I grow up, I want to be {j.a} too!" said {h}. | "Will you teach me one day?" asked {h}.
"I would like that very much," answered {a}. | "Come back whenever you like," answered {a} with a smile.
""",
        """
"Excuse me, how do I get to {q.the}?" asked {h}. | "{a}, which is the way to {q.the}?" asked {h}.
"From {p.the} go straight on and turn {side}," explained {a}, the {j}. | "It is easy: turn {side} at the second street," answered {a}, the {j}.
"Is it very far?" {h} wanted to know. | "Can I walk there?" asked {h}.
"It takes {minutes} minutes on foot," said {a}. | "You will be there in {minutes} minutes," said {a}.
"And how will I know that I am there?" asked {h}.\\n"When you hear {q_sound}, you are there," answered {a}. | "And what if I lose my way?" asked {h}.\\n"Ask for {b}, the {jb}, whom everybody knows," answered {a}.
"Thank you very much!" said {h}. | "Thank you, {a}! See you later!" said {h}.
"You are welcome, and enjoy the walk!" said {a}. | "Take care," said {a}.
""",
        """
"{h}, would you like to come to {p.the} with me tomorrow?" asked {f}. | "Tomorrow I am going to {p.the}," said {f}. "Will you come?"
"With pleasure! At what time?" asked {h}. | "Good idea, but only after lunch," answered {h}.
"Is {hour} o'clock all right?" {f} suggested. | "Shall we say {hour} o'clock?" asked {f}.
"That is fine. May I bring {n}?" asked {h}. | "Agreed. I will bring {n} as well," said {h}.
"Of course, the {pet} will like to see {sight} too," said {f}. | "Of course! And I will bring {x.a}," said {f}.
"Then I will bring {fruit.a} for a snack," said {h}. | "And I will bring the juice," said {h}.
"See you tomorrow, {h}!" said {f}.\\n"See you tomorrow!" answered {h}. | "Don't be late!" laughed {f}.\\n"I won't, see you tomorrow!" answered {h}.
""",
    ),
}  # fmt: skip

_LETTER = {
    "pt": """
{f[Querido/Querida]} {f},\\n\\nTudo bem com você? | {f[Caro/Cara]} {f},\\n\\nEspero que você esteja bem.
Hoje eu fui {p.ao} e me lembrei de você. | Escrevo {p.do}, onde passei a tarde toda.
Vi {sight} e ouvi {sound}, como sempre. | Como você sabe, {p.no} se ouve {sound} o dia inteiro.
{a}, {j.o} da vila, mandou um abraço. | Conversei muito com {a}, que continua sendo {j.o} da vila.
/
{n}, {pet.meu}, está muito bem e manda lembranças. | Na semana passada, {n} se escondeu {where} e só apareceu de noite.
Ganhei {x.um} e já uso para {use}. | Quero mostrar a você {x.meu}, que serve para {use}.
? Comecei também a aprender a {skill}, mas ainda erro bastante. | Continuo gostando de {like} sempre que posso.
Quando é que você vem me visitar? | Venha me visitar nas férias! | Responda logo, por favor.
/
Um abraço,\\n{h} | Com carinho,\\n{h} | Até breve,\\n{h}
""",
    "en": """
Dear {f},\\n\\nhow are you? | Dear {f},\\n\\nI hope that you are well.
Today I went to {p.the} and thought of you. | I am writing from {p.the}, where I have spent the whole afternoon.
I saw {sight} and heard {sound}, as always. | As you know, {p.at} one hears {sound} all day long.
{a}, the {j}, sends greetings. | I had a long talk with {a}, who is still the {j} of the village.
/
{n}, my {pet}, is very well and sends greetings. | Last week {n} hid {where} and came out only at night.
I was given {x.a} and already use it to {use}. | I want to show you my {x}, which I use to {use}.
? I have also begun to learn to {skill}, but I still make many mistakes. | I still like to {like} whenever I can.
When will you come to visit me? | Come and visit me in the holidays! | Please write back soon.
/
With love,\\n{h} | Best wishes,\\n{h} | See you soon,\\n{h}
""",
}  # fmt: skip


def _describe_place(dice: Dice, language: str, place: int, kid: int) -> str:
    roles = _roles(dice, language, KIDS[kid], PLACES[place])
    word = PLACES[place][7]
    roles["word"] = Pt("", "m")[word[0]] if language == "pt" else En(word[1])
    return fill(dice, _PLACE[language], roles)


def _describe_person(dice: Dice, language: str, kid: int, thing: int) -> str:
    said, row = LANGUAGES.index(language), OBJECTS[thing]
    roles = _roles(dice, language, KIDS[kid], dice.pick(PLACES))
    roles |= {"x": _thing(language, row, dice.pick(COLOURS)), "use": row[3][said], "made": row[4][said]}
    roles["trait"] = roles["h"][KIDS[kid][4][0]] if language == "pt" else KIDS[kid][4][1]
    return fill(dice, _PERSON[language], roles)


def _dialogue(dice: Dice, language: str, kid: int, place: int) -> str:
    roles = _roles(dice, language, KIDS[kid], PLACES[place])
    minutes = PT_NUMBERS if language == "pt" else EN_NUMBERS
    job = PLACES[place][6]
    sides = ("direita", "esquerda") if language == "pt" else ("right", "left")
    roles |= {
        "minutes": minutes[dice.pick((5, 10, 15, 20))],
        "side": dice.pick(sides),
        "hour": _number(language, dice.pick((2, 3, 4, 5)), "f"),
    }
    roles["h_job"] = _other_gender(job[3], job[2], KIDS[kid][2])
    return fill(dice, dice.pick(_DIALOGUES[language]), roles)


def _other_gender(job: str, gender: str, wanted: str) -> str:
    """A job's Portuguese name for someone of the wanted gender."""
    if gender == wanted:
        return job
    for masculine, feminine in _JOB_FORMS:
        if job == (masculine if gender == "m" else feminine):
            return feminine if wanted == "f" else masculine
    return job  # salva-vidas, maquinista: one form for both


_JOB_FORMS = (
    ("pastor", "pastora"), ("construtor de barcos", "construtora de barcos"), ("oleiro", "oleira"), ("pipoqueiro", "pipoqueira"),
    ("vendedor de frutas", "vendedora de frutas"), ("bibliotecário", "bibliotecária"), ("fazendeiro", "fazendeira"),
    ("jardineiro", "jardineira"), ("pescador", "pescadora"), ("moleiro", "moleira"), ("faroleiro", "faroleira"), ("pintor", "pintora"),
    ("professor", "professora"),
)  # fmt: skip


def _letter(dice: Dice, language: str, kid: int, place: int) -> str:
    return fill(dice, _LETTER[language], _roles(dice, language, KIDS[kid], PLACES[place]))


# --- instructions -----------------------------------------------------------------------------------------------------------------


def _recipe(dice: Dice, language: str, dish: int, kid: int) -> str:
    """How many batches is part of the recipe: every amount is multiplied."""
    said, (names, ingredients, *steps) = LANGUAGES.index(language), RECIPES[dish]
    batches = 1 + dice.pick(range(3))
    h, name = _kid(language, KIDS[kid]), names[said]
    people = _number(language, 2 * batches, "f")
    if language == "pt":
        heads = (f"Receita de {name} para {people} pessoas", f"{name.capitalize()} para {people} pessoas", f"Como fazer {name}")
        intro = (
            f"Esta receita é {h.do}.",
            f"{h} faz esta receita aos domingos.",
            f"{h} aprendeu a fazer {name} com a avó.",
            f"Quem ensina é {h}.",
        )
        need, how = dice.pick(("Ingredientes:", "Você vai precisar de:")), dice.pick(("Modo de fazer:", "Como preparar:"))
        amounts = [pt_count(n * batches, one, many, gender) + of for n, one, many, gender, of, *_ in ingredients]
        ends = ("Bom apetite!", f"Dá para {people} pessoas.", f"{h} sempre repete.", "")
    else:
        heads = (f"Recipe for {name} for {people} people", f"{name.capitalize()} for {people} people", f"How to make {name}")
        intro = (
            f"This is {h}'s recipe.",
            f"{h} makes this on Sundays.",
            f"{h} learned this recipe from Grandmother.",
            f"{h} shows how it is done.",
        )
        need, how = dice.pick(("Ingredients:", "You will need:")), dice.pick(("Method:", "How to make it:"))
        amounts = [en_count(n * batches, one, many) + of for n, *_, one, many, of in ingredients]
        ends = ("Enjoy your meal!", f"This is enough for {people} people.", f"{h} always asks for more.", "")
    numbered = dice.chance(0.5)
    lines = [f"{i}. {step}" if numbered else f"- {step}" for i, step in enumerate(steps[said], 1)]
    parts = [dice.pick(heads), dice.pick(intro), "\n".join([need, *(f"- {amount}" for amount in amounts)]), "\n".join([how, *lines])]
    return "\n\n".join(part for part in [*parts, dice.pick(ends)] if part)


def _how_to(dice: Dice, language: str, craft: int, kid: int) -> str:
    said, (names, needs, *steps) = LANGUAGES.index(language), CRAFTS[craft]
    h, name, need = _kid(language, KIDS[kid]), names[said], needs[said]
    if language == "pt":
        heads = (f"Como {name}", f"{h} ensina a {name}", f"Passo a passo: {name}")
        intro = (f"Para {name}, {h} usa {need}.", f"{h} começa por separar {need}.", f"{h} explica como {name}. É preciso ter {need}.")
        order = ("Primeiro, ", "Depois, ", "Em seguida, ", "Por fim, ")
        ends = (
            "Pronto!",
            f"Com um pouco de prática, fica fácil {name}.",
            f"Foi assim que {h} aprendeu.",
            f"— Qualquer um consegue — diz {h}.",
        )
    else:
        heads = (f"How to {name}", f"{h} shows how to {name}", f"Step by step: {name}")
        intro = (f"To {name}, {h} uses {need}.", f"{h} begins by getting {need}.", f"{h} explains how to {name}. You need {need}.")
        order = ("First, ", "Then ", "After that, ", "Finally, ")
        ends = (
            "That is all!",
            f"With a little practice it is easy to {name}.",
            f"This is how {h} learned it.",
            f'"Anybody can do it," says {h}.',
        )
    flowing = dice.chance(0.5)
    if flowing:
        body = " ".join(first + step[0].lower() + step[1:] for first, step in zip(order, steps[said], strict=True))
    else:
        body = "\n".join(f"{i}. {step}" for i, step in enumerate(steps[said], 1))
    return "\n\n".join([dice.pick(heads), dice.pick(intro), body, dice.pick(ends)])


# --- facts, questions and answers -------------------------------------------------------------------------------------------------


def _animal_facts(language: str, row: Sequence) -> list[tuple[str, str, str]]:
    """(sentence, question, answer) for what is known of an animal; the sentences speak of all of its kind, the answers of one."""
    said = LANGUAGES.index(language)
    eats, lives, can, legs = row[5][said], row[6][said], row[8][said], row[7]
    if language == "pt":
        x, many, paws = Pt(row[0], row[2]), ("Os " if row[2] == "m" else "As ") + row[3], pt_count(legs, "pata", "patas", "f")
        return [
            (f"{many} comem {eats}.", f"O que come {x.o}?", f"{x.O} come {eats}."),
            (f"{many} vivem {lives}.", f"Onde vive {x.o}?", f"{x.O} vive {lives}."),
            (f"{x.O} tem {paws}.", f"Quantas patas tem {x.o}?", f"{x.O} tem {paws}."),
            (f"{x.O} consegue {can}.", f"O que {x.o} consegue fazer?", f"{x.O} consegue {can}."),
        ]
    x, many, feet = En(row[1]), row[4].capitalize(), en_count(legs, "leg", "legs")
    return [
        (f"{many} eat {eats}.", f"What does {x.the} eat?", f"{x.The} eats {eats}."),
        (f"{many} live {lives}.", f"Where does {x.the} live?", f"{x.The} lives {lives}."),
        (f"{x.The} has {feet}.", f"How many legs does {x.the} have?", f"{x.The} has {feet}."),
        (f"{x.The} can {can}.", f"What can {x.the} do?", f"{x.The} can {can}."),
    ]


def _village_facts(language: str, place: Sequence) -> list[tuple[str, str, str]]:
    said = LANGUAGES.index(language)
    a, j = _keeper(language, place)
    skill = SKILLS[PLACES.index(place)][said]
    p = _thing(language, place)
    if language == "pt":
        return [
            (f"{a} é {j.o} da Vila da Lua.", f"Quem é {a}?", f"{a} é {j.o} da Vila da Lua."),
            (f"{a} trabalha {p.no}.", f"Onde trabalha {a}?", f"{a} trabalha {p.no}."),
            (f"{a} sabe {skill}.", f"O que {a} sabe fazer?", f"{a} sabe {skill}."),
            (f"{p.No} se ouve {place[4][0]}.", f"O que se ouve {p.no}?", f"{p.No} se ouve {place[4][0]}."),
        ]
    near = p.at
    return [
        (f"{a} is the {j} of Moon Village.", f"Who is {a}?", f"{a} is the {j} of Moon Village."),
        (f"{a} works {near}.", f"Where does {a} work?", f"{a} works {near}."),
        (f"{a} can {skill}.", f"What can {a} do?", f"{a} can {skill}."),
        (f"{p.At} one hears {place[4][1]}.", f"What does one hear {near}?", f"{p.At} one hears {place[4][1]}."),
    ]


def _kid_facts(language: str, row: Sequence) -> list[tuple[str, str, str]]:
    said = LANGUAGES.index(language)
    h, pet, fruit, age, like = _kid(language, row), _thing(language, PETS[row[6]]), _thing(language, FRUITS[row[8]]), row[3], row[5][said]
    if language == "pt":
        years = pt_count(age, "ano", "anos")
        return [
            (f"{h} tem {years}.", f"Quantos anos tem {h}?", f"{h} tem {years}."),
            (f"{h} gosta de {like}.", f"O que {h} gosta de fazer?", f"{h} gosta de {like}."),
            (f"{pet.O} {h.do} se chama {row[7]}.", f"Como se chama {pet.o} {h.do}?", f"{pet.O} {h.do} se chama {row[7]}."),
            (f"A fruta preferida {h.do} é {fruit.o}.", f"Qual é a fruta preferida {h.do}?", f"É {fruit.o}."),
        ]
    return [
        (f"{h} is {EN_NUMBERS[age]} years old.", f"How old is {h}?", f"{h} is {EN_NUMBERS[age]} years old."),
        (f"{h} likes to {like}.", f"What does {h} like to do?", f"{h} likes to {like}."),
        (f"{h}'s {pet} is called {row[7]}.", f"What is {h}'s {pet} called?", f"{h}'s {pet} is called {row[7]}."),
        (f"{h}'s favourite fruit is the {fruit}.", f"What is {h}'s favourite fruit?", f"It is the {fruit}."),
    ]


_WEEK = {
    "pt": ("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
_MONTHS = {
    "pt": ("janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto", "setembro", "outubro", "novembro", "dezembro"),
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"),
}
_PLAIN_FACTS = {
    "pt": (("O gelo é água congelada.", "O que é o gelo?"), ("O Sol nasce no leste e se põe no oeste.", "Onde nasce o Sol?"),
           ("A Lua gira em torno da Terra.", "O que gira em torno da Terra?"), ("Um ano tem doze meses.", "Quantos meses tem um ano?"),
           ("Uma semana tem sete dias.", "Quantos dias tem uma semana?"), ("A água ferve quando fica muito quente.", "Quando a água ferve?"),
           ("As plantas precisam de luz e água.", "De que precisam as plantas?"), ("O arco-íris aparece quando há sol e chuva.", "Quando aparece o arco-íris?"),
           ("Uma hora tem sessenta minutos.", "Quantos minutos tem uma hora?"), ("O mar é salgado.", "Que gosto tem a água do mar?")),
    "en": (("Ice is frozen water.", "What is ice?"), ("The sun rises in the east and sets in the west.", "Where does the sun rise?"),
           ("The moon goes around the earth.", "What goes around the earth?"), ("A year has twelve months.", "How many months does a year have?"),
           ("A week has seven days.", "How many days does a week have?"), ("Water boils when it gets very hot.", "When does water boil?"),
           ("Plants need light and water.", "What do plants need?"), ("A rainbow appears when there is sun and rain.", "When does a rainbow appear?"),
           ("An hour has sixty minutes.", "How many minutes does an hour have?"), ("The sea is salty.", "What does sea water taste of?")),
}  # fmt: skip


def _other_fact(dice: Dice, language: str) -> tuple[str, str, str]:
    """A fact about numbers, days, months, sizes or nature."""
    kind = dice.pick(("sum", "day", "month", "size", "plain"))
    i = dice.pick(range(12))
    if kind == "sum":
        a, b = 1 + dice.pick(range(10)), 1 + dice.pick(range(10))
        if language == "pt":
            said = f"{PT_NUMBERS[a].capitalize()} mais {PT_NUMBERS[b]} {'são' if a + b > 1 else 'é'} {PT_NUMBERS[a + b]}."
            return said, f"Quanto é {PT_NUMBERS[a]} mais {PT_NUMBERS[b]}?", said
        said = f"{EN_NUMBERS[a].capitalize()} plus {EN_NUMBERS[b]} is {EN_NUMBERS[a + b]}."
        return said, f"How much is {EN_NUMBERS[a]} plus {EN_NUMBERS[b]}?", said
    if kind == "day":
        today, after = _WEEK[language][i % 7], _WEEK[language][(i + 1) % 7]
        if language == "pt":
            day = Pt(today, "m" if today in ("sábado", "domingo") else "f")
            return (
                f"Depois {day.do} vem {Pt(after, 'm' if after in ('sábado', 'domingo') else 'f').o}.",
                f"Que dia vem depois {day.do}?",
                f"{after.capitalize()}.",
            )
        return f"{after} comes after {today}.", f"Which day comes after {today}?", f"{after}."
    if kind == "month":
        now, after = _MONTHS[language][i], _MONTHS[language][(i + 1) % 12]
        if language == "pt":
            return f"Depois de {now} vem {after}.", f"Que mês vem depois de {now}?", f"{after.capitalize()}."
        return f"{after} comes after {now}.", f"Which month comes after {now}?", f"{after}."
    if kind == "size":
        big = 3 + dice.pick(range(len(ANIMALS) - 3))
        small = dice.pick(range(big - 2))  # three ranks apart: neighbours may be alike
        if language == "pt":
            x, y = Pt(ANIMALS[big][0], ANIMALS[big][2]), Pt(ANIMALS[small][0], ANIMALS[small][2])
            said = f"{x.O} é maior do que {y.o}."
            return said, f"Quem é maior, {y.o} ou {x.o}?", said
        x, y = En(ANIMALS[big][1]), En(ANIMALS[small][1])
        said = f"{x.The} is bigger than {y.the}."
        return said, f"Which is bigger, {y.the} or {x.the}?", said
    said, question = dice.pick(_PLAIN_FACTS[language])
    return said, question, said


def _fact_list(dice: Dice, language: str, animal: int, place: int) -> str:
    """Facts on an animal and a place of the village, and a few others, as a list or as a paragraph."""
    row = ANIMALS[animal]
    if language == "pt":
        x, p = Pt(row[0], row[2]), _thing(language, PLACES[place])
        head = dice.pick(
            (
                f"O que sabemos sobre {x.o} e sobre {p.o}",
                "Coisas que é bom saber",
                f"Fatos: {x.o} e {p.o}",
                f"Você sabia? Sobre {x.o} e {p.o}",
            )
        )
    else:
        x, p = En(row[1]), _thing(language, PLACES[place])
        head = dice.pick(
            (
                f"What we know about {x.the} and {p.the}",
                "Things worth knowing",
                f"Facts: {x.the} and {p.the}",
                f"Did you know? On {x.the} and {p.the}",
            )
        )
    animal_part, place_part = dice.some(_animal_facts(language, row), 3), dice.some(_village_facts(language, PLACES[place]), 3)
    others = [_other_fact(dice, language) for _ in range(1 + dice.pick(range(3)))]
    said = list(dict.fromkeys(fact[0] for fact in animal_part + place_part + others))
    return f"{head}\n\n" + ("\n".join(f"- {line}" for line in said) if dice.chance(0.6) else " ".join(said))


def _questions(dice: Dice, language: str, kid: int, thing: int) -> str:
    """A passage on a child and a thing, then questions that it answers, then some on the world at large."""
    said, row, owner = LANGUAGES.index(language), OBJECTS[thing], KIDS[kid]
    h, colour, place = _kid(language, owner), dice.pick(COLOURS), dice.pick(PLACES)
    x, bare, p, made, use = _thing(language, row, colour), _thing(language, row), _thing(language, place), row[4][said], row[3][said]
    if language == "pt":
        passage = dice.pick((f"{h} comprou {x.um} para levar {p.ao}.", f"{h} ganhou {x.um} e foi {p.ao}.", f"{h} esqueceu {x.seu} {p.no}."))
        passage += f" {bare.O} {h.do} é de {made}."
        verb = "comprou" if "comprou" in passage else "ganhou" if "ganhou" in passage else "esqueceu"
        own = [
            (f"De que cor é {bare.o} {h.do}?", f"{bare.O} {h.do} é {bare[colour[0]]}."),
            (f"De que é feito {bare.o} {h.do}?" if row[2] == "m" else f"De que é feita {bare.o} {h.do}?", f"É de {made}."),
            (f"Para que serve {bare.um}?", f"Serve para {use}."),
            (f"O que {h} {verb}?", f"{h} {verb} {x.seu if verb == 'esqueceu' else x.um}."),
        ]
        marks = ("Pergunta", "Resposta") if dice.chance(0.7) else ("P", "R")
    else:
        passage, done = dice.pick(((f"{h} bought {x.a} to take to {p.the}.", f"{h} bought {x.a}."), (f"{h} was given {x.a} and went to {p.the}.", f"{h} was given {x.a}."),
                                   (f"{h} forgot {h.his} {x} {p.at}.", f"{h} forgot {h.his} {x}.")))  # fmt: skip
        passage += f" {h}'s {bare} is made of {made}."
        ask = {"bought": f"What did {h} buy?", "given": f"What was {h} given?", "forgot": f"What did {h} forget?"}
        own = [
            (f"What colour is {h}'s {bare}?", f"{h}'s {bare} is {colour[1]}."),
            (f"What is {h}'s {bare} made of?", f"It is made of {made}."),
            (f"What is {bare.a} for?", f"It is used to {use}."),
            (next(question for verb, question in ask.items() if f" {verb} " in passage), done),
        ]
        marks = ("Question", "Answer") if dice.chance(0.7) else ("Q", "A")
    about = _kid_facts(language, owner) + _animal_facts(language, dice.pick(ANIMALS)) + _village_facts(language, place)
    world = [fact[1:] for fact in dice.some(about, 2) + [_other_fact(dice, language)]]
    asked = dice.some(own, 3) + dice.some(world, 1 + dice.pick(range(3)))
    return "\n\n".join([passage, *(f"{marks[0]}: {question}\n{marks[1]}: {answer}" for question, answer in asked)])


# genre: (first things, second things, writer) and how often it is drawn
_GENRES: dict[str, tuple[Sequence, Sequence, Callable[[Dice, str, int, int], str]]] = {
    "story": (KIDS, PLACES, _little_story),
    "place": (PLACES, KIDS, _describe_place),
    "person": (KIDS, OBJECTS, _describe_person),
    "dialogue": (KIDS, PLACES, _dialogue),
    "letter": (KIDS, PLACES, _letter),
    "recipe": (tuple(names for names, *_ in RECIPES), KIDS, _recipe),
    "how-to": (tuple(names for names, *_ in CRAFTS), KIDS, _how_to),
    "facts": (ANIMALS, PLACES, _fact_list),
    "questions": (KIDS, OBJECTS, _questions),
    "scene": (*passages.SCENE, passages.scene),
    "explanation": (*passages.EXPLANATION, passages.explanation),
    "code": (passages.CODE, KIDS, lambda dice, language, idea, kid: passages.code(dice, language, idea, _kid(language, KIDS[kid]))),
    "speech": (*passages.SPEECH, passages.speech),
}
_SHARES = {"story": 6, "dialogue": 2, "scene": 4, "explanation": 3, "code": 3, "speech": 2}
_WEIGHTED = tuple(genre for genre in _GENRES for _ in range(_SHARES.get(genre, 1)))

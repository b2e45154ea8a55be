"""Procedural passages for grown-ups, beside the children's stories: scenes of a town long ago, explanations, programming, speeches.

Like the stories they tie two things together and are written in both languages; what they say of a thing is the same in every document.

    scene        a neighbour of the old town (NEIGHBOURS) and what it is all about (MATTERS), with somebody else who may have any name
    explanation  a thing of nature or of everyday life (THINGS), told apart from another one
    code         an idea of programming (IDEAS) in Python, Rust, JavaScript or React, and a child that uses it
    speech       a cause (CAUSES) and an occasion (OCCASIONS)
"""

# ruff: noqa: E501 (a line of a template is one sentence of the text, with its alternatives)

from lunaris.moc.grammar import LANGUAGES, Dice, En, Pt, fill

# --- scenes -----------------------------------------------------------------------------------------------------------------------

# long and short, gender, and both in English
NEIGHBOURS = (
    ("doutor Azevedo", "doutor", "m", "Doctor Avery", "the doctor"),
    ("conselheiro Tavares", "conselheiro", "m", "Counsellor Travers", "the counsellor"),
    ("viúva Noronha", "viúva", "f", "the widow Norton", "the widow"),
    ("moça da casa verde", "moça", "f", "the young lady from the green house", "the young lady"),
    ("capitão Barros", "capitão", "m", "Captain Barrow", "the captain"),
    ("professor Inácio", "professor", "m", "Professor Ignatius", "the professor"),
    ("baronesa de Santa Rita", "baronesa", "f", "the Baroness of Saint Rita", "the baroness"),
    ("coronel Moreira", "coronel", "m", "Colonel Moore", "the colonel"),
    ("costureira Benedita", "costureira", "f", "the seamstress Benedicta", "the seamstress"),
    ("poeta Vilela", "poeta", "m", "the poet Villiers", "the poet"),
    ("tia Eulália", "tia Eulália", "f", "Aunt Eulalia", "Aunt Eulalia"),
    ("velho Ambrósio", "velho", "m", "old Ambrose", "the old man"),
)
WOMEN = """
    Adelaide Amália Aurora Camila Carlota Carolina Celeste Constança Cristina Dolores Emília Estela Eugênia Eva Filomena Flora Francisca
    Gabriela Glória Guiomar Henriqueta Inês Isabel Isaura Laura Leonor Lúcia Luísa Madalena Margarida Mariana Marta Natália Olívia Otília
    Paula Quitéria Raquel Rita Sara Sílvia Teodora Valéria Vera Virgínia
""".split()  # noqa: SIM905 (a list of names reads better so)
MEN = """
    Adriano Afonso Alberto Álvaro André Antero Antônio Augusto Bernardo Carlos Cláudio Daniel Diogo Duarte Eduardo Ernesto Estêvão
    Félix Fernando Filipe Francisco Gabriel Guilherme Gustavo Heitor Henrique Inácio Jacinto Jaime Jorge José Leonardo Luís Manuel Marcos
    Mário Maurício Maximiano Nicolau Paulo Quirino Raimundo Raul Roberto Rodrigo Sebastião Tiago Valentim
""".split()  # noqa: SIM905

_SCENE_TIMES = {
    "pt": ("naquela noite", "numa noite de junho", "ao cair da tarde", "num domingo de chuva", "depois da missa da noite",
           "na véspera de Natal", "numa noite fria", "por volta das oito horas", "antes do jantar"),
    "en": ("that night", "one night in June", "at dusk", "one rainy Sunday", "after evening Mass", "on Christmas Eve", "one cold night",
           "at about eight o'clock", "before dinner"),
}  # fmt: skip
_SCENE_OPENING = {
    "pt": """
{when}, {a.o} estava {room} quando {b} bateu à porta. | {when}, {a.o} recebeu a visita {b.do}. | {a.O} estava {room}, {s[sozinho/sozinha]}, quando {b} chegou. | {b} encontrou {a.o} {room}, com ar de quem não tinha dormido. | Fazia três dias que {a.o} não saía de casa quando {b} apareceu. | {b} veio ver {a.o} sem avisar. | {a.O} abriu a janela e respirou o ar fresco; {b} acabava de entrar. | {a.O} entrou na sala sem fazer barulho; {b} já esperava. | {a.O} sorriu ao ver {b} à porta. | {a.O} largou o livro e foi abrir a porta: era {b}. | {b} subiu a escada e encontrou {a.o} {room}. | {b} era {ba[amigo/amiga]} {a.do} e vinha de vez em quando. | {b} era {ba[um homem/uma mulher]} de poucas palavras, mas veio falar com {a.o}. | {a.O} foi até a porta e viu {b} na rua.
? Lá fora, {weather}. | Ardia uma vela só, e {weather}. | Na rua não passava ninguém; {weather}.
{s.O} ofereceu uma cadeira {b.ao} e se sentou também. | {b} cumprimentou {s.o} e se sentou. | {s.O} fez um gesto para que {b} se sentasse. | {b} olhou para {s.o} e não disse nada. | Houve um longo silêncio.
""",
    "en": """
{when}, {a} was {room} when {b} knocked at the door. | {when}, {a} had a visit from {b}. | {a} was {room}, quite alone, when {b} arrived. | {b} found {a} {room}, looking like somebody who had not slept. | {a} had not left the house for three days when {b} came. | {b} came to see {a} without sending word. | {a} opened the window and breathed the fresh air; {b} had just come in. | {a} came into the room without a sound; {b} was already waiting. | {a} smiled to see {b} at the door. | {a} put the book down and opened the door: it was {b}. | {b} came up the stairs and found {a} {room}. | {b} was a friend of {a} and came from time to time. | {b} spoke little, but came to talk to {a}. | {a} went to the door and saw {b} in the street.
? Outside, {weather}. | A single candle was burning, and {weather}. | Nobody was in the street; {weather}.
{s} offered {b} a chair and sat down too. | {b} greeted {s} and sat down. | {s} made a sign for {b} to sit down. | {b} looked at {s} and said nothing. | There was a long silence.
""",
}
_ROOMS = {
    "pt": ("na sala de visitas", "no gabinete", "na biblioteca", "junto à janela", "na sala de jantar", "junto ao piano", "perto da lareira"),
    "en": ("in the drawing room", "in the study", "in the library", "by the window", "in the dining room", "next to the piano", "near the fire"),
}  # fmt: skip
_WEATHER = {
    "pt": ("chovia sem parar", "o vento batia nas janelas", "a lua aparecia entre as nuvens", "os sinos tocavam ao longe",
           "um cão latia ao longe", "uma neblina fina cobria os telhados"),
    "en": ("it was raining without a break", "the wind beat on the windows", "the moon came out between the clouds",
           "bells were ringing far away", "a dog was barking far away", "a thin mist covered the roofs"),
}  # fmt: skip

# what a scene is about, in Portuguese and in English | the plot in both, which follows the opening
MATTERS = (
    ("carta", "letter", """
/
— Chegou hoje esta carta — disse {s.o}. — Ainda não tive coragem de abrir. | — Leia você, que eu não consigo — pediu {s.o}, e entregou a carta {b.ao}. | — Sabe de quem é a letra? — perguntou {s.o}, com a carta na mão.
{b} abriu o envelope com cuidado e leu em silêncio. | {b} reconheceu logo o selo, abriu a carta e leu. | {b} leu as primeiras linhas e levantou os olhos.
— É do seu irmão — disse {b}. — Ele volta na semana que vem. | — Vem de muito longe — disse {b}. — Alguém pede perdão. | — São boas notícias — disse {b}. — O processo acabou, e a casa é sua.
{s.O} leu a carta duas vezes, como se não acreditasse. | {s.O} não disse nada, mas as mãos tremiam. | Então {s.o} riu pela primeira vez em muitos meses.
/
Mais tarde, {s.o} guardou a carta na gaveta e fechou à chave. | Antes de dormir, {s.o} escreveu a resposta em quatro linhas. | A carta ficou em cima da mesa até o dia seguinte. | Na manhã seguinte, {s.o} escreveu a resposta, e {b} a levou ao correio.
""", """
/
"This letter came today," said {s}. "I have not had the courage to open it." | "Read it for me, I cannot," said {s}, and gave the letter to {b}. | "Do you know this hand?" asked {s}, holding the letter.
{b} opened the envelope with care and read in silence. | {b} knew the seal at once, opened the letter and read. | {b} read the first lines and looked up.
"It is from your brother," said {b}. "He is coming back next week." | "It comes from far away," said {b}. "Somebody asks to be forgiven." | "It is good news," said {b}. "The case is over, and the house is yours."
{s} read the letter twice, as if it could not be true. | {s} said nothing, but both hands were trembling. | Then {s} laughed for the first time in many months.
/
Later, {s} put the letter into a drawer and locked it. | Before going to bed, {s} wrote an answer of four lines. | The letter lay on the table until the next day. | The next morning {s} wrote an answer, and {b} took it to the post.
"""),
    ("dívida", "debt", """
/
— Quanto devo ao senhor Pacheco? — perguntou {s.o}. | — Não posso pagar a dívida este mês — confessou {s.o}. | — Amanhã vence o prazo — disse {s.o}, em voz baixa.
— São {sum} mil-réis — respondeu {b}. — Trago as contas aqui. | — São {sum} mil-réis, com os juros — disse {b}.
{s.O} fez as contas outra vez e chegou ao mesmo número. | {s.O} suspirou e olhou para o chão. | {s.O} olhou para o relógio de prata, a única coisa de valor que ainda tinha.
— Venda o seu relógio de prata — aconselhou {b}.\\n\\nFoi assim que {s.o} perdeu um relógio e ganhou um amigo. | — Posso emprestar a metade — disse {b}. — O resto virá com o tempo.\\n\\nNo dia seguinte, metade da dívida estava paga, e {s.o} dormiu em paz. | — Peça mais um mês — sugeriu {b}. — Ninguém nega um mês a quem é honesto.\\n\\nO credor aceitou esperar, e {s.o} pagou tudo até o último tostão. | — Venda o seu relógio de prata — aconselhou {b}.\\n\\nUma semana depois, {s.o} já não tinha nem o relógio nem a dívida.
""", """
/
"How much do I owe Mr Pacheco?" asked {s}. | "I cannot pay the debt this month," {s} confessed. | "The time is up tomorrow," said {s} in a low voice.
"It is {sum} pounds," answered {b}. "I have the bills here." | "It is {sum} pounds, with the interest," said {b}.
{s} did the sum again and came to the same number. | {s} sighed and looked at the floor. | {s} looked at the silver watch, the only thing of value that was left.
"Sell your silver watch," {b} advised.\\n\\nThis is how {s} lost a watch and gained a friend. | "I can lend you half of it," said {b}. "The rest will come with time."\\n\\nThe next day half of the debt was paid, and {s} slept in peace. | "Ask for another month," said {b}. "Nobody refuses a month to those who are honest."\\n\\nThe lender agreed to wait, and {s} paid it all, to the last penny. | "Sell your silver watch," {b} advised.\\n\\nA week later {s} had neither the watch nor the debt.
"""),
    ("baile", "ball", """
/
— Vamos todos ao baile de sábado — começou {b}. | — Todos vão ao baile — disse {b}. — Só falta a sua resposta. | — Aqui está o convite para o baile — disse {b}. — Você vai?
— Há dez anos que não danço — respondeu {s.o}.\\n— Uma valsa não se esquece — disse {b}, com um sorriso. | — Há dez anos que não danço — respondeu {s.o}.\\n— Isso não é razão — disse {b}. — A música é a mesma de sempre. | — Não tenho o que vestir — disse {s.o}, mas os olhos brilhavam.\\n— Isso não é razão — disse {b}. — Ninguém repara na roupa de quem dança.
/
No sábado, as salas estavam cheias de luz, e {s.o} dançou desde a primeira valsa. | Na noite do baile, {s.o} chegou tarde e ficou perto da porta, até que {b} atravessou a sala e avisou que a valsa ia começar. | A orquestra começou às dez. {s.O} ficou {s[parado/parada]} na primeira valsa e dançou todas as outras.
? As pessoas olhavam e faziam comentários. | Ninguém reparou na hora.
Quando o baile acabou, já era dia. | À saída, {s.o} agradeceu a {b} por ter insistido. | Desde então, {s.o} não perde um baile.
""", """
/
"We are all going to the ball on Saturday," {b} began. | "Everybody is going to the ball," said {b}. "Only your answer is missing." | "Here is the invitation to the ball," said {b}. "Will you come?"
"I have not danced for ten years," answered {s}.\\n"One does not forget a waltz," said {b} with a smile. | "I have not danced for ten years," answered {s}.\\n"That is no reason," said {b}. "The music is the same as ever." | "I have nothing to wear," said {s}, with shining eyes.\\n"That is no reason," said {b}. "Nobody looks at the clothes of those who dance."
/
On Saturday the rooms were full of light, and {s} danced from the first waltz on. | On the night of the ball {s} came late and stayed near the door, until {b} crossed the room and said that the waltz was about to begin. | The orchestra began at ten. {s} stood still for the first waltz and danced all the others.
? People looked and made remarks. | Nobody thought of the time.
When the ball was over, it was daylight. | At the door {s} thanked {b} for insisting. | Ever since, {s} has not missed a ball.
"""),
    ("retrato", "portrait", """
/
— De quem é este retrato? — perguntou {b}. | {b} parou diante do retrato que estava na parede e perguntou quem era. | O retrato, por cima do sofá, parecia olhar para {b}.\\n— Quem é? — perguntou {b}.
— É a minha mãe, aos vinte anos — respondeu {s.o}. — Ninguém sabe quem pintou. | — É a minha avó — explicou {s.o}. — Foi pintado no ano em que ela se casou.
— Ela tem os seus olhos — disse {b}. | — Nunca vi um rosto tão triste — disse {b}. | — Parece que ela vai falar — disse {b}.
{s.O} aproximou uma vela, e o rosto do retrato se iluminou. | {s.O} passou um lenço pela moldura, para tirar o pó. | {s.O} ficou um tempo em silêncio.
/
— Dizem que ela escondeu alguma coisa atrás do quadro — contou {s.o}.\\n{ab[Os dois/As duas]} tiraram o retrato da parede e acharam uma flor seca. | Anos depois, o retrato passou para {b}, que sempre o teve na melhor parede da casa. | Naquela mesma semana, {b} pediu ao pintor da cidade um retrato {s.do}. | — Quando eu morrer, o retrato será seu — disse {s.o}, e {b} não esqueceu.
""", """
/
"Whose portrait is this?" asked {b}. | {b} stopped in front of the portrait on the wall and asked who it was. | The portrait above the sofa seemed to look at {b}.\\n"Who is it?" asked {b}.
"It is my mother at twenty," answered {s}. "Nobody knows who painted her." | "It is my grandmother," {s} explained. "It was painted in the year when she married."
"She has your eyes," said {b}. | "I have never seen so sad a face," said {b}. | "One would think that she was about to speak," said {b}.
{s} brought a candle nearer, and the face in the portrait lit up. | {s} wiped the dust from the frame with a handkerchief. | {s} said nothing for a while.
/
"They say that she hid something behind the picture," said {s}.\\nTogether they took the portrait down and found a dried flower. | Years later the portrait came to {b}, who always kept it on the best wall of the house. | In the same week {b} asked the painter of the town for a portrait of {s}. | "When I am dead, the portrait will be yours," said {s}, and {b} did not forget.
"""),
    ("testamento", "will", """
/
Pouco depois, o tabelião chegou e leu o testamento em voz alta. | — O testamento foi aberto hoje — anunciou {b}. | — Afinal, o que diz o testamento? — perguntou {s.o}.
Um tio rico deixava a casa {s.ao} e os livros {b.ao}. | Um tio rico deixava tudo {s.ao}, menos o piano, que ficava para {b}. | Um tio rico deixava a fazenda {s.ao}, com uma condição: não cortar as árvores.
{s.O} não esperava tanto. | {s.O} ouviu com os olhos baixos. | {s.O} pensou no tio e não disse nada.
— E os primos da cidade? — perguntou {b}.\\n— Quem cuidou dele fui eu — respondeu {s.o}. | — Os primos não vão gostar — disse {b}.\\n— Que não gostem — respondeu {s.o}. — Ele sabia o que fazia.
/
Meses depois, {s.o} abriu a casa aos amigos, e {b} foi {ba[o primeiro/a primeira]} a chegar. | Os primos foram ao juiz, mas o testamento valeu. | {s.O} cumpriu a vontade do tio em tudo. | {s.O} e {b} nunca brigaram por causa da herança.
""", """
/
Soon the notary arrived and read the will aloud. | "The will was opened today," {b} announced. | "So what does the will say?" asked {s}.
A rich uncle left the house to {s} and the books to {b}. | A rich uncle left everything to {s} except the piano, which went to {b}. | A rich uncle left the farm to {s} on one condition: the trees must not be cut down.
{s} had not expected so much. | {s} listened with lowered eyes. | {s} thought of the uncle and said nothing.
"And the cousins in the city?" asked {b}.\\n"It was I who looked after him," answered {s}. | "The cousins will not like it," said {b}.\\n"They do not have to," answered {s}. "He knew what he was doing."
/
Months later {s} opened the house to friends, and {b} was the first to come. | The cousins went to the judge, but the will stood. | {s} did everything as the uncle had wished. | {s} and {b} never quarrelled about the inheritance.
"""),
    ("xadrez", "game of chess", """
/
O tabuleiro de xadrez estava pronto, e {b} ficou com as brancas. | — Mais uma partida de xadrez? — propôs {s.o}. | {s.O} e {b} jogavam xadrez havia muitos anos, e a partida começou logo.
{b} avançou a rainha depressa demais.\\n— Você está {ba[distraído/distraída]} — disse {s.o}.\\n— Penso em outra coisa — respondeu {b}. | {b} avançou a rainha depressa demais.\\n— Você está {ba[distraído/distraída]} — disse {s.o}.\\n— Ainda não acabou — respondeu {b}. | {s.O} perdeu um cavalo logo no começo.\\n— Hoje você joga bem — reconheceu {s.o}.\\n— Tive um bom mestre — disse {b}, rindo. | {b} pensou muito e moveu a torre.\\n— Hoje você joga bem — reconheceu {s.o}.\\n— Ainda não acabou — respondeu {b}.
{s.O} moveu o bispo em silêncio. | {s.O} deixou a xícara de lado e olhou o tabuleiro com atenção.
/
— Xeque-mate — disse {s.o}, e {b} estendeu a mão. | A partida terminou empatada, como quase sempre. | No fim, {b} ganhou com um peão a mais, e {s.o} pediu a desforra. | No fim, {b} sorriu e deitou o rei.
""", """
/
The chessboard was ready, and {b} took the white pieces. | "One more game of chess?" said {s}. | {s} and {b} had played chess for many years, and the game began at once.
{b} moved the queen forward too fast.\\n"You are not paying attention," said {s}.\\n"I am thinking of something else," answered {b}. | {b} moved the queen forward too fast.\\n"You are not paying attention," said {s}.\\n"It is not over yet," answered {b}. | {s} lost a knight at the very beginning.\\n"You are playing well today," {s} admitted.\\n"I had a good teacher," said {b}, laughing. | {b} thought for a long time and moved the rook.\\n"You are playing well today," {s} admitted.\\n"It is not over yet," answered {b}.
{s} moved the bishop in silence. | {s} put the cup aside and looked closely at the board.
/
"Checkmate," said {s}, and {b} held out a hand. | The game ended in a draw, as it nearly always did. | In the end {b} won with an extra pawn, and {s} asked for a return game. | In the end {b} smiled and laid down the king.
"""),
    ("febre", "fever", """
/
— A febre não passa — disse {b}. — O menino não come desde ontem. | — Minha filha está com febre — disse {b}. — Peço que venha vê-la. | — Minha avó está com febre — disse {b}. — A casa toda está preocupada.
{s.O} pegou o casaco e saiu sem perguntar mais nada. | {s.O} seguiu {b} pelas ruas desertas. | {s.O} foi com {b} e prometeu ficar até de manhã.
No quarto, uma vela ardia ao lado da cama. | O quarto cheirava a remédio, e ninguém falava.
— Água fresca, janela aberta e descanso — disse {s.o}. | {s.O} pôs um pano molhado na testa quente e esperou.
/
Perto das cinco da manhã, a febre baixou. {b} chorou de alívio. | Ao nascer do sol, a febre tinha passado, e {s.o} dormia numa cadeira. | Três dias depois, já se ouviam risos na casa. | {b} quis pagar, mas {s.o} não aceitou nada.
""", """
/
"The fever does not go down," said {b}. "The boy has not eaten since yesterday." | "My daughter has a fever," said {b}. "I beg you to come and see her." | "My grandmother has a fever," said {b}. "The whole house is worried."
{s} took a coat and went out without another question. | {s} followed {b} through the empty streets. | {s} went with {b} and promised to stay until morning.
In the bedroom a candle was burning beside the bed. | The room smelled of medicine, and nobody spoke.
"Fresh water, an open window and rest," said {s}. | {s} put a wet cloth on the hot forehead and waited.
/
Towards five in the morning the fever went down. {b} wept with relief. | At sunrise the fever was gone, and {s} was asleep in a chair. | Three days later one could hear laughter in the house. | {b} wanted to pay, but {s} would take nothing.
"""),
    ("piano", "piano", """
/
— Faz muito tempo que ninguém toca este piano — disse {s.o}. | — Toque alguma coisa no piano — pediu {s.o}. | — Este piano veio de navio — contou {s.o}. — Levou dois meses.
{b} se sentou e tocou uma valsa antiga. | {b} levantou a tampa, experimentou uma tecla e tocou uma valsa. | {b} tocou uma valsa de memória, de olhos fechados.
Uma das notas estava desafinada. | A música encheu a sala e saiu pela janela. | Na rua, um homem parou para escutar.
— Minha mãe tocava essa mesma valsa — disse {s.o}. | — Não pare — disse {s.o}. | {s.O} escutou de pé, sem se mexer.
/
Quando a música acabou, os olhos {s.do} estavam molhados. | {b} prometeu voltar na quinta-feira para tocar de novo. | Desde esse dia, há música na casa todas as semanas. | No mês seguinte, {s.o} deu o piano {b.ao}: um piano é de quem o toca.
""", """
/
"Nobody has played this piano for a long time," said {s}. | "Play something on the piano," said {s}. | "This piano came by ship," said {s}. "It took two months."
{b} sat down and played an old waltz. | {b} lifted the lid, tried a key and played a waltz. | {b} played a waltz by heart, with closed eyes.
One of the notes was out of tune. | The music filled the room and went out through the window. | In the street a man stopped to listen.
"My mother used to play the same waltz," said {s}. | "Do not stop," said {s}. | {s} stood and listened without moving.
/
When the music was over, {s}'s eyes were wet. | {b} promised to come back on Thursday and play again. | Since that day there has been music in the house every week. | The next month {s} gave the piano to {b}: a piano belongs to whoever plays it.
"""),
    ("viagem", "journey", """
/
— O navio parte amanhã — disse {b}. | — A viagem está decidida — anunciou {b}. — Vou para Lisboa. | — Vim me despedir — disse {b}. — Viajo na sexta-feira.
— Por quanto tempo? — perguntou {s.o}. | {s.O} sentiu um aperto no peito, mas sorriu.\\n— Por quanto tempo? — perguntou {s.o}.
— Dois anos, talvez mais — respondeu {b}. | — Volto daqui a um ano — prometeu {b}.
— Leve isto — disse {s.o}, e tirou uma bússola de uma gaveta. | — Escreva sempre — pediu {s.o}. | — Então vamos jantar {ab[juntos/juntas]} antes da partida — disse {s.o}.
/
Da janela, {s.o} viu o navio sair do porto. | No cais, {s.o} acenou com o lenço até o navio desaparecer. | As cartas chegaram todos os meses, e um dia, em vez de carta, chegou {b}. | A viagem durou mais do que se esperava; a amizade, a vida inteira.
""", """
/
"The ship leaves tomorrow," said {b}. | "The journey is settled," {b} announced. "I am going to Lisbon." | "I have come to say goodbye," said {b}. "I am leaving on Friday."
"For how long?" asked {s}. | {s} felt a pang, but smiled.\\n"For how long?" asked {s}.
"For two years, maybe more," answered {b}. | "I will be back in a year," {b} promised.
"Take this with you," said {s}, and took a compass from a drawer. | "Write often," said {s}. | "Then let us dine together before you leave," said {s}.
/
From the window {s} saw the ship leave the harbour. | On the quay {s} waved a handkerchief until the ship was out of sight. | The letters came every month, and one day, instead of a letter, {b} came. | The journey lasted longer than expected; the friendship lasted a whole life.
"""),
    ("anel", "ring", """
/
— O anel desapareceu — disse {s.o}. — Estava nesta caixa. | — Onde está o anel da família? — perguntou {s.o}, diante da caixa vazia. | {s.O} abriu a caixa de joias e viu que o anel não estava lá.
{b} procurou debaixo dos móveis. | — Quem entrou aqui hoje? — perguntou {b}. | — Não acuse ninguém antes da hora — disse {b}.
{s.O} se lembrou de ter lavado as mãos no jardim. | {s.O} desconfiou do novo criado e logo se arrependeu. | {s.O} chamou todas as pessoas da casa.
Ninguém tinha visto o anel. | A cozinheira chorava e jurava que não sabia de nada.
/
Foi {b} quem achou o anel, no fundo de um vaso de flores. | Uma hora depois, o anel apareceu dentro de uma luva. | O gato da casa brincava com alguma coisa que brilhava: era o anel. | O anel só foi achado na primavera, entre as raízes de uma roseira.
{s.O} pediu desculpas a todos e nunca mais tirou o anel do dedo. | {s.O} deu o anel {b.ao}, que o usa até hoje. | {s.O} e {b} riram muito da história.
""", """
/
"The ring is gone," said {s}. "It was in this box." | "Where is the family ring?" asked {s} in front of the empty box. | {s} opened the jewel box and saw that the ring was not there.
{b} looked under the furniture. | "Who has been here today?" asked {b}. | "Do not blame anybody too soon," said {b}.
{s} remembered washing both hands in the garden. | {s} suspected the new servant and was sorry at once. | {s} called everybody in the house.
Nobody had seen the ring. | The cook wept and swore that she knew nothing.
/
It was {b} who found the ring, at the bottom of a flower vase. | An hour later the ring turned up inside a glove. | The house cat was playing with something that shone: it was the ring. | The ring was found only in spring, among the roots of a rose bush.
{s} asked everybody's pardon and never took the ring off again. | {s} gave the ring to {b}, who wears it to this day. | {s} and {b} laughed about it for a long time.
"""),
)  # fmt: skip


def scene(dice: Dice, language: str, neighbour: int, matter: int) -> str:
    """A scene of two people: the neighbour, named in full and then by what they are, and somebody of any name."""
    who, plots, woman = NEIGHBOURS[neighbour], MATTERS[matter][2:], dice.chance(0.5)
    pool = WOMEN if woman else MEN
    name = dice.pick(pool)
    if name in who[0].split():  # Professor Inácio has no visit from another Inácio
        name = pool[pool.index(name) - 1]
    if language == "pt":
        gender = "f" if woman else "m"
        both = "f" if woman and who[2] == "f" else "m"
        a, s = Pt(who[0], who[2]), Pt(who[1], who[2])
        b, ba, ab = Pt(name, gender, name=True), Pt("", gender), Pt("", both)
        roles = {"a": a, "s": s, "b": b, "ba": ba, "ab": ab, "sum": dice.pick(("trezentos", "quinhentos", "oitocentos"))}
    else:
        roles = {"a": who[3], "s": who[4], "b": name, "sum": dice.pick(("thirty", "fifty", "eighty"))}
    roles |= {"when": dice.pick(_SCENE_TIMES[language]), "room": dice.pick(_ROOMS[language]), "weather": dice.pick(_WEATHER[language])}
    return fill(dice, _SCENE_OPENING[language] + plots[LANGUAGES.index(language)].lstrip("\n"), roles)


# --- explanations -----------------------------------------------------------------------------------------------------------------

# noun, gender, English with its article | what it is | four facts | what would be without it, or what one does with it
THINGS = (
    ("sol", "m", "the sun", ("a estrela mais próxima da Terra", "the star nearest to the earth"),
     (("Ele é uma bola de gás muito quente.", "It is a ball of very hot gas."),
      ("A luz do sol leva cerca de oito minutos para chegar até nós.", "Its light takes about eight minutes to reach us."),
      ("Ele é muito maior do que a Terra.", "It is far bigger than the earth."),
      ("Durante o dia, sua luz esconde as outras estrelas.", "By day its light hides the other stars.")),
     ("Sem o sol, não haveria plantas nem animais.", "Without the sun there would be no plants and no animals.")),
    ("chuva", "f", "rain", ("a água que cai das nuvens", "water that falls from the clouds"),
     (("O calor transforma a água do mar em vapor.", "Heat turns the water of the sea into vapour."),
      ("O vapor sobe, esfria e forma as nuvens.", "The vapour rises, cools and makes clouds."),
      ("Quando as gotas ficam pesadas, elas caem.", "When the drops become heavy, they fall."),
      ("Depois de cair, a água volta aos rios e ao mar.", "After it has fallen, the water goes back to the rivers and the sea.")),
     ("Sem a chuva, os campos ficariam secos.", "Without rain the fields would be dry.")),
    ("vento", "m", "wind", ("o ar em movimento", "air that moves"),
     (("O ar quente sobe, e o ar frio toma o seu lugar.", "Warm air rises, and cold air takes its place."),
      ("Perto do mar, o vento costuma mudar de direção à noite.", "Near the sea the wind usually changes its direction at night."),
      ("Ele leva as sementes para longe.", "It carries seeds far away."),
      ("Quando é muito forte, o vento derruba árvores.", "When the wind is very strong, it brings trees down.")),
     ("Com o vento, os moinhos giram e os barcos navegam.", "With wind, mills turn and boats sail.")),
    ("rio", "m", "a river", ("um curso de água que corre para o mar, para um lago ou para outro rio", "a stream of water that runs to the sea, to a lake or to another river"),
     (("Ele nasce em terras mais altas, muitas vezes nas montanhas.", "It rises on higher ground, often in the mountains."),
      ("No caminho, ele recebe a água de outros rios.", "On its way it takes in the water of other rivers."),
      ("Sua água é doce.", "Its water is fresh."),
      ("As margens costumam ficar verdes até na seca.", "Its banks usually stay green even in a drought.")),
     ("Muitas cidades nasceram à beira de um rio.", "Many towns began beside a river.")),
    ("mar", "m", "the sea", ("uma grande extensão de água salgada", "a great stretch of salt water"),
     (("Ele cobre mais da metade da Terra.", "It covers more than half of the earth."),
      ("A Lua faz a água subir e descer, quase sempre duas vezes por dia.", "The moon makes the water rise and fall, nearly always twice a day."),
      ("Nas partes mais fundas, é sempre escuro e frio.", "In the deepest parts it is always dark and cold."),
      ("O vento faz as ondas.", "The wind makes the waves.")),
     ("Do mar vêm o peixe e o sal.", "Fish and salt come from the sea.")),
    ("semente", "f", "a seed", ("o começo de uma planta", "the beginning of a plant"),
     (("Dentro dela há uma planta muito pequena.", "Inside it there is a very small plant."),
      ("Ela precisa de água para acordar.", "It needs water to wake up."),
      ("Primeiro nasce a raiz, depois o caule.", "First comes the root, then the stem."),
      ("Algumas esperam muitos anos até germinar.", "Some wait for many years before they sprout.")),
     ("Quem planta uma semente precisa ter paciência.", "Whoever plants a seed must be patient.")),
    ("árvore", "f", "a tree", ("uma planta grande, com um tronco de madeira", "a big plant with a trunk of wood"),
     (("As raízes buscam a água debaixo da terra.", "Its roots look for water under the ground."),
      ("As folhas usam a luz para fazer alimento.", "Its leaves use light to make food."),
      ("Em muitas árvores, o tronco ganha um anel por ano.", "In many trees the trunk grows by one ring every year."),
      ("Nos galhos das árvores moram muitos pássaros.", "Many birds live in the branches of trees.")),
     ("Uma árvore dá sombra, frutos e madeira.", "A tree gives shade, fruit and wood.")),
    ("pão", "m", "bread", ("um alimento feito de farinha, água e fermento", "a food made of flour, water and yeast"),
     (("O fermento enche a massa de pequenas bolhas.", "Yeast fills the dough with little bubbles."),
      ("Antes de ir ao forno, a massa precisa descansar.", "Before it goes into the oven, the dough must rest."),
      ("No forno, a casca fica dourada.", "In the oven its crust turns golden."),
      ("O pão é um dos alimentos mais antigos do mundo.", "Bread is one of the oldest foods in the world.")),
     ("Com pão e um pouco de manteiga, já se faz um lanche.", "Bread and a little butter make a snack.")),
    ("vidro", "m", "glass", ("um material duro e transparente, feito de areia", "a hard, clear material made of sand"),
     (("A areia derrete em um forno muito quente.", "The sand melts in a very hot oven."),
      ("Enquanto está quente, o vidro pode ser soprado e dobrado.", "While glass is hot, it can be blown and bent."),
      ("Ele quebra com facilidade.", "It breaks easily."),
      ("Pode ser derretido e usado muitas vezes.", "It can be melted and used many times.")),
     ("Com o vidro se fazem janelas, garrafas e lentes.", "Windows, bottles and lenses are made of glass.")),
    ("papel", "m", "paper", ("um material fino, feito de fibras de madeira", "a thin material made of wood fibres"),
     (("A madeira é moída e misturada com água até virar uma pasta.", "The wood is ground and mixed with water until it becomes a pulp."),
      ("A pasta é espalhada, prensada e seca.", "The pulp is spread, pressed and dried."),
      ("O papel pega fogo com facilidade.", "Paper burns easily."),
      ("O papel usado pode virar papel novo.", "Old paper can become new paper.")),
     ("No papel se escreve e se desenha, e com ele se embrulha.", "We write and draw on paper, and we wrap things in it.")),
    ("ponte", "f", "a bridge", ("uma construção que liga os dois lados de um rio", "a structure that joins the two sides of a river"),
     (("As mais antigas eram feitas de troncos.", "The oldest ones were made of tree trunks."),
      ("Os arcos de pedra aguentam muito peso.", "Arches of stone can carry a great weight."),
      ("Algumas se levantam para os barcos passarem.", "Some can be raised to let boats pass."),
      ("Quem constrói uma ponte precisa conhecer o vento e a água.", "Whoever builds a bridge must know the wind and the water.")),
     ("Sem a ponte, seria preciso atravessar de barco.", "Without a bridge one would have to cross by boat.")),
    ("roda", "f", "a wheel", ("um círculo que gira em torno de um eixo", "a circle that turns on an axle"),
     (("Com ela, mover um peso exige menos força do que arrastá-lo.", "With it, moving a load takes less strength than dragging it."),
      ("As primeiras eram de madeira maciça.", "The first ones were made of solid wood."),
      ("Os raios deixam a roda mais leve.", "Spokes make it lighter."),
      ("Uma roda com dentes move outra roda.", "A wheel with teeth can move another wheel.")),
     ("Sem a roda, não haveria carroças, trens nem bicicletas.", "Without the wheel there would be no carts, trains or bicycles.")),
    ("música", "f", "music", ("a arte de combinar os sons no tempo", "the art of putting sounds together in time"),
     (("O ritmo diz quando cada som começa.", "The rhythm says when each sound begins."),
      ("A melodia é a parte que se canta.", "The melody is the part that one sings."),
      ("Cada povo tem os seus instrumentos.", "Every people has its own instruments."),
      ("Para tocar bem, é preciso praticar todos os dias.", "To play well, one must practise every day.")),
     ("A música alegra as festas e consola quem está triste.", "Music cheers a party and comforts the sad.")),
    ("mapa", "m", "a map", ("um desenho de um lugar visto de cima", "a drawing of a place seen from above"),
     (("Nele, a largura de um dedo pode valer um quilômetro.", "On it, a finger's width can stand for a kilometre."),
      ("As linhas azuis costumam ser rios.", "Blue lines are usually rivers."),
      ("Os sinais são explicados em um canto.", "Its signs are explained in a corner."),
      ("O norte costuma ficar em cima.", "The north is usually at the top.")),
     ("Com um mapa, quem viaja acha o caminho.", "With a map, travellers find their way.")),
    ("dinheiro", "m", "money", ("aquilo que todos aceitam em troca das coisas", "what everybody takes in exchange for things"),
     (("Antes de haver dinheiro, as pessoas trocavam uma coisa por outra.", "Before there was money, people swapped one thing for another."),
      ("Muitas moedas antigas eram de prata ou de ouro.", "Many old coins were made of silver or gold."),
      ("Quem guarda um pouco por mês tem mais no fim do ano.", "Whoever saves a little every month has more at the end of the year."),
      ("O dinheiro só vale porque as pessoas confiam nele.", "Money has value only because people trust it.")),
     ("O dinheiro compra muitas coisas, mas não a amizade.", "Money buys many things, but not friendship.")),
    ("coração", "m", "the heart", ("o músculo que faz o sangue circular", "the muscle that makes the blood circulate"),
     (("Em repouso, ele costuma bater pouco mais de uma vez por segundo.", "At rest it usually beats a little more than once a second."),
      ("Quando corremos, ele bate mais depressa.", "When we run, it beats faster."),
      ("Ele tem mais ou menos o tamanho de um punho fechado.", "It is about the size of a fist."),
      ("Ele trabalha até quando dormimos.", "It works even while we sleep.")),
     ("Andar todos os dias faz bem ao coração.", "Walking every day is good for the heart.")),
    ("sono", "m", "sleep", ("o descanso do corpo e da mente", "rest for the body and the mind"),
     (("Enquanto dormimos, o cérebro guarda o que aprendeu.", "While we sleep, the brain keeps what it has learned."),
      ("As crianças precisam dormir mais do que os adultos.", "Children need more of it than adults."),
      ("Os sonhos aparecem várias vezes por noite.", "Dreams come several times a night."),
      ("À noite, a luz forte atrasa o sono.", "At night, bright light keeps sleep away.")),
     ("Quem dorme bem costuma acordar de bom humor.", "Whoever sleeps well usually wakes in a good mood.")),
    ("sombra", "f", "a shadow", ("o lugar onde a luz não chega", "a place that light does not reach"),
     (("Ela aparece quando alguma coisa fica na frente da luz.", "It appears when something stands in front of the light."),
      ("De manhã cedo e no fim da tarde, ela é comprida.", "Early in the morning and late in the afternoon it is long."),
      ("Ao meio-dia, ela é curta.", "At noon it is short."),
      ("A noite é a sombra da própria Terra.", "The night is the shadow of the earth itself.")),
     ("Com uma vara e a sua sombra, sabe-se a hora.", "With a stick and its shadow one can tell the time.")),
    ("gelo", "m", "ice", ("a água em estado sólido", "water that has become solid"),
     (("Ele se forma quando a água fica muito fria.", "It forms when water gets very cold."),
      ("Ele boia, porque é mais leve do que a água.", "It floats, because it is lighter than water."),
      ("No calor, ele derrete devagar.", "In the heat it slowly melts."),
      ("Há lugares da Terra onde ele nunca derrete.", "There are places on earth where it never melts.")),
     ("Com gelo, a comida dura mais tempo.", "With ice, food keeps longer.")),
    ("palavra", "f", "a word", ("um grupo de sons ou de letras que tem um sentido", "a group of sounds or letters that has a meaning"),
     (("Com as poucas letras de um alfabeto se escrevem todas as palavras de uma língua.", "With the few letters of an alphabet one can write all the words of a language."),
      ("Algumas mudam de sentido com o tempo.", "Some change their meaning with time."),
      ("Uma língua viva ganha palavras novas todos os anos.", "A living language gets new words every year."),
      ("O dicionário põe as palavras em ordem.", "A dictionary puts words in order.")),
     ("Uma palavra boa pode fazer um amigo.", "A good word can make a friend.")),
)  # fmt: skip

_EXPLANATION = {
    "pt": """
{x.O} é {what}. | O que é {x.o}? É {what}. | Chama-se {x} {what}. | Todo mundo sabe o que é {x.o}: {what}. | Sobre {x.o}\\n\\n{x.O} é {what}.
{f1}
{f2}
? {f3}
/
{f4}
{why}
? Vale a pena pensar nisso. | Vale a pena lembrar isso. | É bom saber isso.
""",
    "en": """
{x} is {what}. | What is {x}? It is {what}. | Everybody knows what {x} is: {what}. | About {x}\\n\\n{x} is {what}.
{f1}
{f2}
? {f3}
/
{f4}
{why}
? It is worth a thought. | It is worth remembering this. | It is good to know this.
""",
}

_TOLD_APART = {
    "pt": "Já {y.o} é {is}. | Coisa diferente é {y.o}: {is}.",
    "en": "{y}, on the other hand, is {is}. | A different thing is {y}: {is}.",
}


def explanation(dice: Dice, language: str, thing: int, other: int) -> str:
    """What a thing is, three or four facts in their order, what it is good for, and another thing from which it is told apart.

    `other` may be the thing itself; then the last is left out.
    """
    said = LANGUAGES.index(language)
    row, next_to = THINGS[thing], THINGS[other]
    roles: dict[str, object] = {f"f{i}": fact[said] for i, fact in enumerate(row[4], 1)}
    roles |= {"what": row[3][said], "why": row[5][said], "x": Pt(row[0], row[1]) if language == "pt" else row[2]}
    roles |= {"y": Pt(next_to[0], next_to[1]) if language == "pt" else next_to[2], "is": next_to[3][said]}
    template = _EXPLANATION[language] if thing == other else _EXPLANATION[language] + _TOLD_APART[language]
    return fill(dice, template, roles)


# --- programming ------------------------------------------------------------------------------------------------------------------

# noun, gender, English | what it is | what one does with it | why | a child's use | a usual mistake | (language, how, an example) in both languages
IDEAS = (
    ("variável", "f", "variable", ("um nome que guarda um valor", "a name that holds a value"), ("criar", "make"),
     ("Com ela, o programa lembra o que já calculou.", "With it, the program remembers what it has worked out."),
     ("{h} guarda na variável a idade de um gato e soma um a cada ano.", "{h} keeps the age of a cat in the variable and adds one every year."),
     ("Um erro comum é usar a variável antes de dar um valor a ela.", "A common mistake is to use the variable before it has a value."),
     (("Python", "basta escrever o nome, um sinal de igual e o valor", "you write the name, an equals sign and the value", "`idade = 7`", "`age = 7`"),
      ("Rust", "usa-se a palavra `let`, e o valor só pode mudar com `mut`", "you use the word `let`, and the value can change only with `mut`", "`let idade = 7;`", "`let age = 7;`"),
      ("JavaScript", "usa-se `let`, ou `const` quando o valor não muda", "you use `let`, or `const` when the value does not change", "`let idade = 7;`", "`let age = 7;`"))),
    ("função", "f", "function", ("um pedaço de código que tem um nome e pode ser chamado muitas vezes", "a piece of code that has a name and can be called many times"), ("escrever", "write"),
     ("Assim, o mesmo código não precisa ser escrito duas vezes.", "So the same code need not be written twice."),
     ("{h} escreve uma função que recebe um número e devolve o dobro.", "{h} writes a function that takes a number and returns twice as much."),
     ("Um erro comum é esquecer-se de devolver o resultado.", "A common mistake is to forget to return the result."),
     (("Python", "usa-se a palavra `def`, e o resultado sai com `return`", "you use the word `def`, and `return` gives the result", "`def dobro(n):`", "`def twice(n):`"),
      ("Rust", "usa-se a palavra `fn`, e cada parâmetro tem o seu tipo", "you use the word `fn`, and every parameter has its type", "`fn dobro(n: i32) -> i32`", "`fn twice(n: i32) -> i32`"),
      ("JavaScript", "usa-se a palavra `function`, e o resultado sai com `return`", "you use the word `function`, and `return` gives the result", "`function dobro(n)`", "`function twice(n)`"))),
    ("lista", "f", "list", ("um grupo de valores em ordem", "a group of values in order"), ("criar", "make"),
     ("Ela guarda muitos valores com um só nome.", "It keeps many values under one name."),
     ("{h} põe na lista os nomes de três amigos e pede o primeiro.", "{h} puts the names of three friends in the list and asks for the first one."),
     ("Um erro comum é esquecer que a contagem começa em zero.", "A common mistake is to forget that counting begins at zero."),
     (("Python", "escrevem-se os valores entre colchetes", "you write the values in square brackets", "`notas = [7, 9, 10]`", "`marks = [7, 9, 10]`"),
      ("Rust", "usa-se `vec!`, que cria um `Vec`", "you use `vec!`, which makes a `Vec`", "`let notas = vec![7, 9, 10];`", "`let marks = vec![7, 9, 10];`"),
      ("JavaScript", "escrevem-se os valores entre colchetes, e a lista se chama array", "you write the values in square brackets, and the list is called an array", "`const notas = [7, 9, 10];`", "`const marks = [7, 9, 10];`"))),
    ("laço", "m", "loop", ("uma parte do programa que se repete", "a part of the program that is repeated"), ("escrever", "write"),
     ("Com ele, o computador faz mil vezes o que escrevemos uma vez.", "With it, the computer does a thousand times what we write once."),
     ("{h} escreve um laço que mostra as notas, uma por uma.", "{h} writes a loop that shows the marks one by one."),
     ("Um erro comum é o laço que nunca termina.", "A common mistake is a loop that never ends."),
     (("Python", "usa-se `for` com a palavra `in`", "you use `for` with the word `in`", "`for n in notas:`", "`for n in marks:`"),
      ("Rust", "usa-se `for` com a palavra `in`", "you use `for` with the word `in`", "`for n in notas`", "`for n in marks`"),
      ("JavaScript", "usa-se `for` com a palavra `of`", "you use `for` with the word `of`", "`for (const n of notas)`", "`for (const n of marks)`"))),
    ("condição", "f", "condition", ("uma pergunta a que o programa responde com sim ou não", "a question that the program answers with yes or no"), ("escrever", "write"),
     ("Com ela, o programa escolhe o que fazer.", "With it, the program chooses what to do."),
     ("{h} escreve uma condição: se a nota for maior do que seis, o programa mostra um sorriso.", "{h} writes a condition: if the mark is above six, the program shows a smile."),
     ("Um erro comum é esquecer o caso contrário, que se escreve com `else`.", "A common mistake is to forget the other case, which is written with `else`."),
     (("Python", "usa-se `if`, e a linha termina com dois-pontos", "you use `if`, and the line ends with a colon", "`if nota > 6:`", "`if mark > 6:`"),
      ("Rust", "usa-se `if`, sem parênteses", "you use `if`, without parentheses", "`if nota > 6`", "`if mark > 6`"),
      ("JavaScript", "usa-se `if`, com a pergunta entre parênteses", "you use `if`, with the question in parentheses", "`if (nota > 6)`", "`if (mark > 6)`"))),
    ("string", "f", "string", ("um texto dentro de um programa", "a text inside a program"), ("criar", "make"),
     ("Ela guarda nomes, frases e tudo o que se lê.", "It holds names, sentences and whatever one reads."),
     ("{h} junta duas strings, e o programa diz bom dia.", "{h} joins two strings, and the program says good morning."),
     ("Um erro comum é esquecer uma das aspas.", "A common mistake is to forget one of the quotation marks."),
     (("Python", "escreve-se o texto entre aspas", "you write the text in quotation marks", "`nome = 'Lua'`", "`name = 'Moon'`"),
      ("Rust", "usa-se `String::from`, que copia o texto", "you use `String::from`, which copies the text", "`let nome = String::from(\"Lua\");`", "`let name = String::from(\"Moon\");`"),
      ("JavaScript", "escreve-se o texto entre aspas", "you write the text in quotation marks", "`const nome = 'Lua';`", "`const name = 'Moon';`"))),
    ("comentário", "m", "comment", ("uma linha que o computador ignora", "a line that the computer ignores"), ("escrever", "write"),
     ("Ele explica às pessoas por que o código é assim.", "It tells people why the code is as it is."),
     ("{h} escreve um comentário para lembrar o que a função faz.", "{h} writes a comment as a reminder of what the function does."),
     ("Um erro comum é o comentário que repete o que o código já diz.", "A common mistake is a comment that repeats what the code says."),
     (("Python", "começa-se a linha com `#`", "you begin the line with `#`", "`# soma as notas`", "`# adds up the marks`"),
      ("Rust", "começa-se a linha com `//`", "you begin the line with `//`", "`// soma as notas`", "`// adds up the marks`"),
      ("JavaScript", "começa-se a linha com `//`", "you begin the line with `//`", "`// soma as notas`", "`// adds up the marks`"))),
    ("teste", "m", "test", ("um código que verifica outro código", "code that checks other code"), ("escrever", "write"),
     ("Com ele, descobre-se um erro antes que os usuários o encontrem.", "With it, a mistake is found before the users find it."),
     ("{h} escreve um teste que chama a função do dobro com o número dois e espera quatro.", "{h} writes a test that calls the doubling function with two and expects four."),
     ("Um erro comum é um teste que não pode falhar.", "A common mistake is a test that cannot fail."),
     (("Python", "usa-se a palavra `assert`", "you use the word `assert`", "`assert dobro(2) == 4`", "`assert twice(2) == 4`"),
      ("Rust", "usa-se `assert_eq!` em uma função marcada com `#[test]`", "you use `assert_eq!` in a function marked with `#[test]`", "`assert_eq!(dobro(2), 4);`", "`assert_eq!(twice(2), 4);`"),
      ("JavaScript", "usa-se a função `expect`, de uma biblioteca como o Jest", "you use the function `expect` from a library such as Jest", "`expect(dobro(2)).toBe(4);`", "`expect(twice(2)).toBe(4);`"))),
    ("erro", "m", "error", ("um aviso de que alguma coisa não deu certo", "a notice that something has gone wrong"), ("tratar", "handle"),
     ("Quem lê a mensagem com calma acha a causa mais depressa.", "Whoever reads the message calmly finds the cause sooner."),
     ("{h} pede um arquivo que não existe e trata o erro, para o programa não parar.", "{h} asks for a file that does not exist and handles the error, so that the program does not stop."),
     ("Um erro comum é não fazer nada com a mensagem.", "A common mistake is to do nothing with the message."),
     (("Python", "usam-se as palavras `try` e `except`", "you use the words `try` and `except`", "`except FileNotFoundError:`", "`except FileNotFoundError:`"),
      ("Rust", "usa-se um `Result`, que se abre com `match`", "you use a `Result`, which you open with `match`", "`match resultado`", "`match result`"),
      ("JavaScript", "usam-se as palavras `try` e `catch`", "you use the words `try` and `catch`", "`catch (erro)`", "`catch (error)`"))),
    ("módulo", "m", "module", ("um arquivo de código que outros programas podem usar", "a file of code that other programs can use"), ("usar", "use"),
     ("Assim, um programa grande fica dividido em partes pequenas.", "So a big program is divided into small parts."),
     ("{h} guarda algumas funções em um módulo e usa todas em outro programa.", "{h} keeps some functions in a module and uses all of them in another program."),
     ("Um erro comum é dar a dois módulos o mesmo nome.", "A common mistake is to give two modules the same name."),
     (("Python", "escreve-se a palavra `import`", "you write the word `import`", "`import math`", "`import math`"),
      ("Rust", "escreve-se a palavra `use`", "you write the word `use`", "`use std::fs;`", "`use std::fs;`"),
      ("JavaScript", "escreve-se a palavra `import`", "you write the word `import`", "`import fs from 'fs';`", "`import fs from 'fs';`"))),
    ("componente", "m", "component", ("uma parte da página que tem código próprio", "a part of the page that has code of its own"), ("criar", "make"),
     ("Com componentes pequenos se monta uma página grande.", "Small components make up a big page."),
     ("{h} cria um componente que mostra um botão e usa esse componente três vezes.", "{h} makes a component that shows a button and uses it three times."),
     ("Um erro comum é dar ao componente um nome que começa com letra minúscula.", "A common mistake is to give the component a name that begins with a small letter."),
     (("React", "escreve-se uma função que devolve o que aparece na tela", "you write a function that returns what appears on the screen", "`function Botao()`", "`function Button()`"),)),
    ("variável de estado", "f", "state variable", ("uma variável que um componente lembra entre um desenho e outro", "a variable that a component remembers from one drawing to the next"), ("criar", "make"),
     ("Quando ela muda, a tela é desenhada de novo.", "When it changes, the screen is drawn again."),
     ("{h} guarda na variável de estado quantas vezes um botão foi apertado.", "{h} keeps in the state variable how many times a button was pressed."),
     ("Um erro comum é mudar a variável sem chamar a função que avisa o React.", "A common mistake is to change the variable without calling the function that tells React."),
     (("React", "usa-se `useState`, que devolve o valor e uma função para mudá-lo", "you use `useState`, which returns the value and a function to change it", "`const [n, setN] = useState(0);`", "`const [n, setN] = useState(0);`"),)),
)  # fmt: skip

_CODE = {
    "pt": """
{x.Um} é {what}. | Em {lang}, {x.um} é {what}. | Na programação, chama-se {x} {what}. | O que é {x.um}? É {what}. | Como {verb} {x.um} em {lang}\\n\\n{x.Um} é {what}.
? {why}
/
Em {lang}, {how}. | Para {verb} {x.um} em {lang}, {how}. | Em {lang} se faz assim: {how}.
Por exemplo: {code}. | Fica assim: {code}. | Um exemplo simples é {code}.
? {mistake}
/
{h} aprende {lang} na escola. | {h} quer escrever um programa em {lang}. | Hoje {h} escreve seu primeiro programa em {lang}.
{use}
Na primeira vez, o programa não funciona, mas {h} lê tudo de novo e acha o que faltava. | O programa funciona logo na primeira vez. | Depois de alguns minutos, o programa faz o que {h} queria.
? — Agora eu sei o que é {x.um} — diz {h}. | — Valeu a pena — diz {h}.
""",
    "en": """
{x.a} is {what}. | In {lang}, {x.a} is {what}. | In programming, {x.a} is {what}. | What is {x.a}? It is {what}. | How to {verb} {x.a} in {lang}\\n\\n{x.a} is {what}.
? {why}
/
In {lang}, {how}. | To {verb} {x.a} in {lang}, {how}. | This is how it is done in {lang}: {how}.
For example: {code}. | It looks like this: {code}. | A simple example is {code}.
? {mistake}
/
{h} is learning {lang} at school. | {h} wants to write a program in {lang}. | Today {h} is writing a program in {lang} for the first time.
{use}
The first time the program does not work, but {h} reads everything again and finds what was missing. | The program works the first time. | After a few minutes the program does what {h} wanted.
? "Now I know what {x.a} is," says {h}. | "That was worth it," says {h}.
""",
}


def code(dice: Dice, language: str, idea: int, kid: Pt | En) -> str:
    """An idea of programming in one of its languages: what it is, how it is written, and a child that uses it."""
    said, row = LANGUAGES.index(language), IDEAS[idea]
    lang, *ways = dice.pick(row[8])
    roles = {"x": Pt(row[0], row[1]) if language == "pt" else En(row[2]), "h": kid, "lang": lang}
    roles |= {"what": row[3][said], "verb": row[4][said], "why": row[5][said], "use": row[6][said].format(h=kid), "mistake": row[7][said]}
    return fill(dice, _CODE[language], roles | {"how": ways[said], "code": ways[2 + said]})


# --- speeches ---------------------------------------------------------------------------------------------------------------------

# what is spoken for, gender, English | how it was | what it gives | what has to be done
CAUSES = (
    ("escola", "f", "the school", ("Há poucos anos, nossas crianças estudavam debaixo de uma árvore.", "A few years ago our children had their lessons under a tree."),
     ("Quem aprende a ler abre todas as portas.", "Whoever learns to read opens every door."),
     ("Vamos pagar melhor aos professores e abrir mais duas salas.", "We shall pay the teachers better and open two more rooms.")),
    ("ponte", "f", "the bridge", ("Há poucos anos, o rio nos separava dos nossos vizinhos.", "A few years ago the river kept us from our neighbours."),
     ("Uma ponte leva o comércio a um lado e traz a amizade do outro.", "A bridge takes trade to one side and brings friendship from the other."),
     ("Vamos reforçar os arcos antes das chuvas.", "We shall make the arches stronger before the rains.")),
    ("biblioteca", "f", "the library", ("Há poucos anos, os livros da cidade cabiam em uma caixa.", "A few years ago the books of the town fitted into one box."),
     ("Um livro emprestado vale mais do que um livro guardado.", "A book that is lent is worth more than a book that is locked away."),
     ("Vamos comprar livros novos e abrir as portas também à noite.", "We shall buy new books and open the doors in the evening too.")),
    ("água limpa", "f", "clean water", ("Há poucos anos, era preciso andar uma hora até a fonte.", "A few years ago one had to walk for an hour to the spring."),
     ("Onde a água é limpa, as crianças crescem com saúde.", "Where the water is clean, children grow up healthy."),
     ("Vamos levar a água a todas as casas.", "We shall bring the water to every house.")),
    ("paz", "f", "peace", ("Nossos pais conheceram a guerra e perderam quase tudo.", "Our parents knew war and lost nearly everything."),
     ("Na paz se planta, se constrói e se canta.", "In peace we plant, we build and we sing."),
     ("Vamos resolver cada disputa com a lei, e não com a força.", "We shall settle every dispute by law and not by force.")),
    ("trabalho", "m", "work", ("Há poucos anos, os jovens iam embora porque não havia trabalho.", "A few years ago the young went away because there was no work."),
     ("O trabalho honesto dá pão e dignidade.", "Honest work gives bread and dignity."),
     ("Vamos abrir oficinas e ensinar um ofício a quem quiser aprender.", "We shall open workshops and teach a trade to whoever wants to learn.")),
    ("colheita", "f", "the harvest", ("Há poucos anos, a seca levou metade do trigo.", "A few years ago drought took half of the wheat."),
     ("Uma boa colheita enche as mesas e as escolas.", "A good harvest fills the tables and the schools."),
     ("Vamos guardar uma parte dos grãos para os anos difíceis.", "We shall put a part of the grain aside for hard years.")),
    ("saúde", "f", "health", ("Há poucos anos, o médico mais próximo ficava a um dia de viagem.", "A few years ago the nearest doctor was a day's journey away."),
     ("Sem saúde, nenhuma riqueza serve para nada.", "Without health no wealth is of any use."),
     ("Vamos construir um hospital aberto a todos.", "We shall build a hospital that is open to all.")),
    ("estrada", "f", "the road", ("Há poucos anos, a lama fechava o caminho durante meses.", "A few years ago mud closed the way for months."),
     ("Uma boa estrada faz as distâncias menores.", "A good road makes distances smaller."),
     ("Vamos calçar a estrada até a estação.", "We shall pave the road as far as the station.")),
    ("justiça", "f", "justice", ("Houve um tempo em que só os ricos eram ouvidos.", "There was a time when only the rich were heard."),
     ("A lei deve ser a mesma para todos.", "The law must be the same for everybody."),
     ("Vamos ouvir o lado mais fraco antes de julgar.", "We shall listen to the weaker side before we judge.")),
    ("floresta", "f", "the forest", ("Há poucos anos, cortávamos mais árvores do que plantávamos.", "A few years ago we cut down more trees than we planted."),
     ("A floresta protege a água, o ar e os animais.", "The forest protects the water, the air and the animals."),
     ("Vamos plantar duas árvores para cada uma que cair.", "We shall plant two trees for every one that falls.")),
    ("voto", "m", "the vote", ("Houve um tempo em que poucos decidiam por todos.", "There was a time when a few decided for all."),
     ("O voto de um pobre vale tanto quanto o de um rico.", "The vote of a poor man counts as much as that of a rich man."),
     ("Vamos contar os votos em público, um por um.", "We shall count the votes in public, one by one.")),
)  # fmt: skip
OCCASIONS = (
    ("na festa da colheita", "at the harvest festival"), ("no aniversário da cidade", "on the anniversary of the town"),
    ("no primeiro dia do ano", "on the first day of the year"), ("na abertura do conselho", "at the opening of the council"),
    ("no dia da posse", "on inauguration day"), ("na inauguração do teatro", "at the opening of the theatre"),
    ("na véspera da eleição", "on the eve of the election"), ("diante da assembleia", "before the assembly"),
    ("na praça da cidade", "in the town square"), ("no dia da independência", "on Independence Day"),
)  # fmt: skip

_SPEECH_TEXT = {
    "pt": """
Discurso {occasion}\\n\\nCidadãos,\\n\\n | Cidadãos, | Meus amigos, | Meus amigos,\\n\\n | Caros cidadãos,\\n\\n | Senhoras e senhores,\\n\\n
estamos reunidos {occasion} para falar {c.do}. | falo hoje, {occasion}, de uma coisa simples: {c.o}. | quero dizer, {occasion}, algumas palavras sobre {c.o}. | o governo desta cidade promete, {occasion}, cuidar {c.do}. | esta cidade precisa {c.do}, e é disso que falo {occasion}.
{past}
? Ninguém resolveu isso por nós. | Muitos de vocês se lembram desse tempo. | Não queremos voltar a esse tempo.
/
{good}
O governo existe para servir ao povo, e não o contrário. | O governo não pode fazer tudo, mas pode começar. | Um governo se mede pelo que faz por quem tem menos. | O dever do governo é cuidar do que é de todos.
{plan}
? Não será fácil, e não será rápido. | Isso custa esforço, mas o atraso custa mais. | Peço a cada um que faça a sua parte.
/
Com {c.o}, deixaremos aos nossos filhos uma cidade melhor do que a que recebemos. | Que os nossos filhos possam dizer: eles cuidaram {c.do}. | Se todos ajudarmos, {c.o} será o nosso orgulho.
Muito obrigado. | Viva o povo! | Obrigado a todos, e mãos à obra.
""",
    "en": """
Speech {occasion}\\n\\nFellow citizens,\\n\\n | Fellow citizens, | My friends, | My fellow citizens,\\n\\n | My friends,\\n\\n | Ladies and gentlemen,\\n\\n
we have come together {occasion} to speak of {c}. | today, {occasion}, I speak of a simple thing: {c}. | I wish to say a few words, {occasion}, about {c}. | the government of this town promises, {occasion}, to look after {c}. | this town needs {c}, and this is what I speak of {occasion}.
{past}
? Nobody set this right for us. | Many of you remember that time. | We do not want to go back to that time.
/
{good}
The government is there to serve the people, and not the other way round. | The government cannot do everything, but it can begin. | A government is measured by what it does for those who have least. | It is the duty of the government to look after what belongs to all.
{plan}
? It will not be easy, and it will not be quick. | This takes effort, but waiting costs more. | I ask every one of you to do your part.
/
With {c} we shall leave our children a better town than the one that we were given. | May our children be able to say: they looked after {c}. | If all of us help, {c} will be our pride.
Thank you. | Long live the people! | Thank you all, and now to work.
""",
}


def speech(dice: Dice, language: str, cause: int, occasion: int) -> str:
    """A speech for a cause: how it was, what it gives, what the government will do, and thanks."""
    said, row = LANGUAGES.index(language), CAUSES[cause]
    roles: dict[str, object] = {"c": Pt(row[0], row[1]) if language == "pt" else row[2], "occasion": OCCASIONS[occasion][said]}
    return fill(dice, _SPEECH_TEXT[language], roles | {"past": row[3][said], "good": row[4][said], "plan": row[5][said]})


# what each genre ties together, as (Portuguese, English)
SCENE = tuple((row[0], row[3]) for row in NEIGHBOURS), tuple(row[:2] for row in MATTERS)
EXPLANATION = (tuple((row[0], row[2]) for row in THINGS),) * 2
CODE = tuple((row[0], row[2]) for row in IDEAS)
SPEECH = tuple((row[0], row[2]) for row in CAUSES), OCCASIONS

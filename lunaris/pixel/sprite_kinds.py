"""The hand-drawn kinds of the procedural sprite set (PX-21): one pixel map of at most 14 x 14 each, named in English and Portuguese.

Everything here was drawn for Lunaris, so the sprites are free of anybody else's licence. A map holds classes, not colours; `sprites.py`
turns a class into a palette entry, because the same drawing is rendered in every colour and style.

    .  transparent        l m d  main colour: light, middle, dark        x  line in the main colour's deepest tone
    k  ink (eyes, holes)  w  white        s S  steel          b n  wood     g G  leaf
    y Y  gold             r  red          o    ember orange   c    glass    p    skin pink     f F  cream
"""

from dataclasses import dataclass

CLASSES = ".lmdxkwsSbngGyYrocpfF"
MAP_SIDE = 14  # a map leaves one pixel on each side of a 16 x 16 sprite for the outline
SMALL_SIDE = 10


@dataclass(frozen=True)
class Kind:
    """One thing a sprite can show. `draw` is its pixel map (rows of `CLASSES`) and `small` the same thing drawn again for the small
    size, or empty where `draw` survives being reduced. Portuguese synonyms carry their own gender."""

    name_en: str
    name_pt: str
    gender_pt: str
    draw: tuple[str, ...]
    small: tuple[str, ...] = ()
    synonyms_en: tuple[str, ...] = ()
    synonyms_pt: tuple[tuple[str, str], ...] = ()
    can_mirror: bool = True


def _rows(drawing: str, side: int) -> tuple[str, ...]:
    rows = tuple(drawing.split())
    if len({len(row) for row in rows}) > 1 or max(map(len, (rows, *rows))) > side or not set("".join(rows)) <= set(CLASSES):
        raise ValueError(f"a pixel map must be a rectangle of at most {side} x {side} characters of {CLASSES!r}, got {rows}")
    return rows


def _kind(name_en: str, name_pt: str, drawing: str, *, small: str = "", en: str = "", pt: str = "", can_mirror: bool = True) -> Kind:
    """A `Kind` from short notation: Portuguese words are written 'word:m' or 'word:f', lists are separated by '|'."""
    word, gender = name_pt.split(":")
    synonyms_en = tuple(item for item in en.split("|") if item)
    synonyms_pt = tuple((item.split(":")[0], item.split(":")[1]) for item in pt.split("|") if item)
    return Kind(name_en, word, gender, _rows(drawing, MAP_SIDE), _rows(small, SMALL_SIDE), synonyms_en, synonyms_pt, can_mirror)


KINDS = (
    _kind("potion", "poção:f", en="flask|elixir", pt="elixir:m", drawing="""
        ....bbbb....
        ....nnnn....
        ...wwwwww...
        ....cwcc....
        ....cwcc....
        ...mmmmmm...
        ..mllmmmmm..
        .mllmmmmmmd.
        .mlmmmmmmmd.
        mllmmmmmmmdd
        mlmmmmmmmmdd
        mmmmmmmmmddd
        .mmmmmmdddd.
        ..mmmddddd..
    """),
    _kind("sword", "espada:f", en="blade", pt="lâmina:f", drawing="""
        ...........lmm
        ..........llmm
        .........llmmd
        ........llmmd.
        .......llmmd..
        ......llmmd...
        .....llmmd....
        .yy.llmmd.....
        .yyllmmd......
        ..yymmd.......
        ..byyyd.......
        .bnbyyyy......
        bnb...yy......
        yb............
    """),
    _kind("shield", "escudo:m", drawing="""
        ssssssssssss
        sllllyymmmms
        sllllyymmmms
        sllllyymmmms
        slyyyyyyyyms
        smyyyyyyyyds
        smmmmyymmdds
        smmmmyymmdds
        .smmmyymdds.
        .smmmyymdds.
        ..smmyydds..
        ...smyyds...
        ....sdds....
        .....ss.....
    """, small="""
        sssssssss
        slllymmms
        slllymmms
        slllymmms
        syyyyyyys
        smmmymmds
        smmmymdds
        .smmymds.
        ..smyds..
        ...sss...
    """),
    _kind("key", "chave:f", drawing="""
        ..mmmm........
        .mllmmm.......
        mll..mmd......
        ml....mmllllmm
        mm....mmmmmmmm
        mmd..mmd.mm.mm
        .mmmmmd..dd.mm
        ..dddd......dd
    """, small="""
        .mmmm.....
        ml..mm....
        m....mmmmm
        m....mmmmm
        mm..md.m.m
        .mddd..m.m
    """),
    _kind("heart", "coração:m", drawing="""
        ..mmm...mmm..
        .mllmm.mmmmm.
        mllmmmmmmmmmm
        mlmmmmmmmmmmd
        mlmmmmmmmmmmd
        mmmmmmmmmmmmd
        .mmmmmmmmmmd.
        ..mmmmmmmmd..
        ...mmmmmmd...
        ....mmmmd....
        .....mmd.....
        ......d......
    """),
    _kind("star", "estrela:f", drawing="""
        ......m......
        ......m......
        .....mlm.....
        .....mlm.....
        mmmmmllmmmmmm
        .mlllllmmmmd.
        ..mllllmmmd..
        ...mlllmmd...
        ...mlmmmmd...
        ..mlmmmmmmd..
        ..mmmmdmmmd..
        .mmmd...mmmd.
        .md.......md.
    """),
    _kind("gem", "gema:f", en="diamond|jewel|crystal", pt="diamante:m|joia:f|cristal:m", drawing="""
        ...lllmmmmm...
        ..lllxmmxmmd..
        .lwllxmmmxmdd.
        lwllxmmmmmxmdd
        xxxxxxxxxxxxxx
        .llxlmmmmxddd.
        ..llxmmmmxdd..
        ...lxmmmxdd...
        ....lxmmxd....
        .....xmmx.....
        ......xx......
    """),
    _kind("coin", "moeda:f", drawing="""
        ....llll....
        ..llmmmmmm..
        .lmmxxxxmmd.
        .lmxmmmmlmd.
        lmxmmxxmmlmd
        lmxmmxxmmlmd
        lmxmmxxmmlmd
        lmxmmxxmmlmd
        .mmxmmmmlmd.
        .mmmllllmmd.
        ..mmmmmmdd..
        ....dddd....
    """, small="""
        ...llll...
        .llmmmmmd.
        .lmxxxxmd.
        lmxmmmmlmd
        lmxmxxmlmd
        lmxmxxmlmd
        lmxmmmmlmd
        .mmllllmd.
        .mmmmmmdd.
        ...dddd...
    """),
    _kind("chest", "baú:m", en="treasure chest", pt="arca:f", drawing="""
        .ymmmmmmmmmmy.
        yylllmmmmmmmyy
        yylmmmmmmmmmyy
        yymmmmmmmmmdyy
        yymmmyyyymmdyy
        kkkkkykkykkkkk
        yymmmyyyymmmyy
        yylmmmyymmmdyy
        yylmmmmmmmmdyy
        yymmmmmmmdddyy
        yymddddddddd.y
    """, small="""
        .mmmmmmmm.
        ymllmmmmmy
        ymmmyymmmy
        kkkkyykkkk
        ymmmyymmmy
        ymlmmmmmdy
        ymmmmmmddy
        ymdddddddy
    """),
    _kind("apple", "maçã:f", drawing="""
        ......n.gg..
        .....n.ggg..
        .....n.gg...
        ..mmmnnmmm..
        .mllmmmmmmm.
        mllmmmmmmmmm
        mlmmmmmmmmmd
        mlmmmmmmmmmd
        mmmmmmmmmmmd
        mmmmmmmmmmdd
        .mmmmmmmmdd.
        .mmmmmmmddd.
        ..mmm..ddd..
    """),
    _kind("cherry", "cereja:f", en="cherries", drawing="""
        ........ggg..
        ......nngggg.
        .....nn.ggg..
        ....n..n.....
        ...n...n.....
        ..n.....n....
        .mmm....n....
        mllmm..mmm...
        mlmmm.mllmm..
        mmmmd.mlmmmd.
        .mdd..mmmmmd.
        ......mmmmdd.
        .......ddd...
    """, small="""
        ......ggg.
        .....nngg.
        ....n.n...
        ...n..n...
        ..n...n...
        .mm...n...
        mlmm.mmm..
        mmmd.mlmm.
        .md..mmmmd
        .....mmdd.
    """),
    _kind("mushroom", "cogumelo:m", en="toadstool", drawing="""
        .....mmmm.....
        ...mmmmmmmm...
        ..mlmwwmmmmm..
        .mllmwwmmmmmm.
        .mlmmmmmmwwmm.
        mwwmmmmmmwwmmd
        mwwmmmmmmmmmmd
        mmmmmmwwmmmmdd
        .ddddmwwmdddd.
        ....ffffFF....
        ....ffffFF....
        ....ffffFF....
        ...fffffFFF...
    """),
    _kind("tree", "árvore:f", drawing="""
        ....mmmmm.....
        ..mmllmmmmm...
        .mllllmmmmmm..
        .mllmmmmmmmmm.
        mllmmmmmlmmmmm
        mlmmmmmllmmmdd
        mmmmmmmmmmmmdd
        .mmxxmmmmmxddd
        .dmmmmmxxmmmd.
        ..ddmmdnddd...
        .....bbn......
        .....bbn......
        .....bbn......
        ....bbbnn.....
    """),
    _kind("pine", "pinheiro:m", en="pine tree|fir", drawing="""
        ......m.......
        .....mlm......
        .....mlm......
        ....mllmd.....
        ...mllmmmd....
        ..xxlmmmdxx...
        ....lmmmmd....
        ...llmmmmmd...
        ..llmmmmmmmd..
        .xxlmmmmmmxxx.
        ...llmmmmmmd..
        ..llmmmmmmmmd.
        .mmmmmmmmmmddd
        .....bbn......
    """, small="""
        ....m....
        ...mlm...
        ..mllmm..
        .mmlmmmm.
        ...lmm...
        ..mlmmm..
        .mllmmmm.
        mmllmmmmd
        ...bbn...
        ...bbn...
    """),
    _kind("flower", "flor:f", en="daisy", pt="margarida:f", drawing="""
        ...mmmmm...
        ...mllmm...
        mm.mlmmm.mm
        mlmxyyyxmmm
        mlmyyyyymmm
        mmmyyyyymmd
        mmmxyyyxmmd
        mm.mmmmd.dd
        ...mlmmd...
        ...mmmdd...
        .....g.....
        .gg..g.gg..
        ..ggggggg..
        .....g.....
    """, small="""
        ...mmm...
        ...mlm...
        mm.mmm.mm
        mlmyyymmm
        mmmyyymmd
        mm.mmm.dd
        ...mmd...
        ....g....
        .gg.g.gg.
        ..ggggg..
    """),
    _kind("cactus", "cacto:m", drawing="""
        .....mmm....
        ....mlmmd...
        ....mlmmd...
        ....mlmmd.mm
        mm..mlmmd.md
        mlm.mlmmd.md
        mlm.mlmmmmmd
        mlmmmlmmmmd.
        .mmmmlmmd...
        ..mmmlmmd...
        ....mlmmd...
        ..bbbbbbbb..
        ..bbbbbbnn..
        ...bbbbnn...
    """, small="""
        ...mlm...
        ...mlm...
        m..mlm.mm
        ml.mlm.md
        ml.mlmmmd
        mlmmlmmd.
        .mmmlm...
        ...mlm...
        .bbbbbbb.
        ..bbbbn..
    """),
    _kind("house", "casa:f", en="home|cottage", drawing="""
        ......mm......
        .....mllm.....
        ....mllmmm....
        ...mllmmmmm...
        ..mllmmmmmmm..
        .mllmmmmmmmmd.
        mllmmmmmmmmmdd
        xxxxxxxxxxxxxx
        .ffffffffffff.
        .fccfffffffff.
        .fccffbbbbfff.
        .fffffbbbbfff.
        .fffffbbbbfff.
        .fffffbbbbfff.
    """),
    _kind("castle", "castelo:m", en="fortress", pt="fortaleza:f", drawing="""
        m.m.m....m.m.m
        mmmmm....mmmmm
        mlmmd....mlmmd
        mlkmd.mm.mlkmd
        mlkmdmmmmmlkmd
        mlmmdlmmmmlmmd
        mlmmmlmmmmlmmd
        mlmmmmmmmmmmmd
        mlmmmmnnmmmmmd
        mlmmmnnnnmmmmd
        mlmmmnnnnmmmdd
        mlmmmnnnnmmmdd
        mmmmmnnnnmmddd
    """, small="""
        m.m....m.m
        mmm....mmm
        mlm.mm.mlm
        mkmmmmmmkm
        mlmmmmmmmm
        mlmmnnmmmd
        mlmnnnnmmd
        mlmnnnnmdd
        mmmnnnnmdd
    """),
    _kind("crown", "coroa:f", drawing="""
        m.....mm.....m
        mm...mllm...mm
        mlm..mlmm..mmd
        mlmm.mlmm.mmmd
        mllmmllmmmmmmd
        mllmmmmmmmmmdd
        mlmrmmccmmrmdd
        mlmrmmccmmrmdd
        mmmmmmmmmmmddd
        xxxxxxxxxxxxxx
    """, small="""
        m...mm...m
        mm.mllm.mm
        mlmmlmmmmd
        mllmmmmmmd
        mlrmccmrmd
        mmmmmmmmdd
        xxxxxxxxxx
    """),
    _kind("ring", "anel:m", drawing="""
        ....wccc....
        ...wwcccc...
        ....cccc....
        ...mmccmm...
        ..mllmmmmm..
        .mll....mmd.
        mml......mmd
        mm........md
        mm........md
        mmm......mmd
        .mmm....mmd.
        ..mmmmmmdd..
        ....dddd....
    """, small="""
        ..wccc..
        ..cccc..
        ...cc...
        ..mmmm..
        .ml..mm.
        ml....md
        m......d
        m......d
        mm....md
        .mmmmdd.
    """),
    _kind("skull", "caveira:f", pt="crânio:m", drawing="""
        ...mmmmmm...
        ..mllmmmmm..
        .mllmmmmmmm.
        mllmmmmmmmmm
        mlmmmmmmmmmm
        mlkkkmmkkkmd
        mmkkkmmkkkmd
        mmkkkmmkkkmd
        mmmmmkkmmmdd
        .mmmmmmmmdd.
        ..mmmmmmmd..
        ..mkmkmkmd..
        ..mkmkmkmd..
    """, small="""
        ..mmmmm..
        .mllmmmm.
        mllmmmmmm
        mlmmmmmmm
        mkkmmmkkd
        mkkmmmkkd
        mmmmkmmmd
        .mmmmmmd.
        .mkmkmkd.
        .mkmkmkd.
    """),
    _kind("ghost", "fantasma:m", en="spirit", pt="espírito:m", drawing="""
        ....mmmm....
        ..mmllmmmm..
        .mllmmmmmmm.
        .mlmmmmmmmm.
        mllmmmmmmmmd
        mlmkkmmkkmmd
        mlmkkmmkkmmd
        mmmkkmmkkmmd
        mmmmmmmmmmmd
        mmmmmkkmmmmd
        mmmmmkkmmmdd
        mmmmmmmmmmdd
        mmm.mmmm.mdd
        .m...mm...d.
    """, small="""
        ...mmm...
        .mmlmmmm.
        .mllmmmm.
        mllmmmmmd
        mlkmmmkmd
        mlkmmmkmd
        mmmmmmmmd
        mmmmkmmmd
        mmmmmmmdd
        mm.mmm.dd
    """),
    _kind("slime", "slime:m", en="blob", pt="gosma:f", drawing="""
        .....mmmm.....
        ...mmllmmmm...
        ..mllmmmmmmm..
        .mllmmmmmmmmm.
        .mlmkkmmkkmmm.
        mllmkkmmkkmmmd
        mlmmmmmmmmmmmd
        mmmmmmkkmmmmdd
        mmmmmmmmmmmddd
        .mmmmddddddd..
    """),
    _kind("fish", "peixe:m", drawing="""
        .....mmm......
        ....mmmmm....m
        ..mmlllmmmm.mm
        .mllllmmmmmmmd
        mlwkmmmxmmmmmd
        mmkkmmmxmmmmmd
        .mmmmmxmmmmmmd
        ..mmmmmmmmd.dd
        ....mmmddd...d
        ......dd......
    """, small="""
        ...mm.....
        .mmlmmm..m
        mllmmmmmmm
        mkmmxmmmmd
        mmmmxmmmmd
        .mmmmmd..d
        ...dd.....
    """),
    _kind("bird", "pássaro:m", pt="ave:f", drawing="""
        ...mmmm.......
        ..mllmmm......
        .mlmmmmmm.....
        yymkmmmmm.....
        yymmmmmmmm...m
        ..mmmmmmmmmmmm
        ..mffmmxxxmmmd
        ..mfffmmxxxmd.
        ...ffffmmmdd..
        ....fffmmdd...
        .....y..y.....
        ....yy.yy.....
    """),
    _kind("cat", "gato:m", en="kitten|cat face", pt="gatinho:m", drawing="""
        mm.........mm
        mpm.......mpm
        mppm.....mppm
        mppmmmmmmmppm
        mmmmxmxmxmmmm
        mlmmmmmmmmmmm
        mlmkkmmmkkmmd
        mlmkkmmmkkmmd
        mmmmmmpmmmmmd
        wwmmmkmkmmmww
        .mmmmmmmmmdd.
        ..mmmmmmddd..
    """, small="""
        m.......m
        mm.....mm
        mpm...mpm
        mpmmmmmpm
        mlmmmmmmm
        mlkmmmkmd
        mmkmmmkmd
        wmmmpmmmw
        .mmmmmdd.
    """),
    _kind("dog", "cachorro:m", en="puppy|dog face", pt="cão:m", drawing="""
        ...mmmmmmmm...
        .xmmllmmmmmmx.
        xxmllmmmmmmmxx
        xxmlmmmmmmmmxx
        xxmmkkmmkkmmxx
        xxmmkkmmkkmmxx
        xxmmmmffmmmmxx
        xxmmffkkffmmxx
        .xmfffkkfffmx.
        ...ffffffff...
        ...fffkkfff...
        ....ffppff....
        .....fppf.....
    """),
    _kind("rabbit", "coelho:m", en="bunny", pt="coelhinho:m", drawing="""
        .mm......mm.
        mmmm....mmmm
        mppm....mppm
        mppm....mppm
        mppm....mppm
        mmpmmmmmmpmm
        .mmllmmmmmm.
        .mllmmmmmmm.
        mmlmmmmmmmmd
        mmkkmmmmkkmd
        mmkkmmmmkkmd
        mmmmmppmmmmd
        .mmmmwwmmmd.
        ..mmmwwmmd..
    """, small="""
        .mm....mm.
        mpm....mpm
        mpm....mpm
        mpmmmmmmpm
        .mllmmmmm.
        .mlmmmmmm.
        mmkmmmmkmd
        mmkmmmmkmd
        .mmmppmmd.
        ..mmwwmd..
    """),
    _kind("snail", "caracol:m", pt="lesma:f", drawing="""
        ...mmmmm......
        ..mllmmmm..k.k
        .mlmxxxmmd.f.f
        .mlxmmmxmd.f.f
        .mlxmxmxmd.fff
        .mlxmxxxmd.fkf
        .mmxmmmmdd.ffF
        ..mmxxxxd.fffF
        .ffmmdddffffF.
        fffffffffFFF..
    """),
    _kind("egg", "ovo:m", en="easter egg", drawing="""
        ...mmmm...
        ..mllmmm..
        ..mlmmmm..
        .mllmmmmm.
        .mlmmmmmm.
        wmmwwmmwwm
        mwwmmwwmmw
        mlmmmmmmmd
        mlmmmmmmmd
        mmmmmmmmmd
        mmmmmmmmdd
        .mmmmmmdd.
        ..mmmddd..
    """),
    _kind("sun", "sol:m", drawing="""
        ......mm......
        .m....mm....m.
        ..m........m..
        ....llmmmm....
        ...llmmmmmm...
        ...lmmmmmmm...
        mm.lmkmmkmm.mm
        mm.mmmmmmmd.mm
        ...mmkmmkmd...
        ...mmmkkmdd...
        ....mmmddd....
        ..m........m..
        .m....mm....m.
        ......mm......
    """, small="""
        m...mm...m
        .m......m.
        ...mmmm...
        ..mllmmm..
        m.mlmmmm.m
        m.mmmmmd.m
        ..mmmmdd..
        ...mddd...
        .m......m.
        m...mm...m
    """),
    _kind("moon", "lua:f", en="crescent", drawing="""
        ....mmmmm...
        ..mmllm.....
        .mllmm......
        .mlmm.......
        mllmm.......
        mlmm........
        mlmm........
        mlmmm.......
        mmmmm.......
        .mmmmm....m.
        .mmmmmm.mmm.
        ..mmmmmmmd..
        ...mmmmddd..
        .....ddd....
    """),
    _kind("cloud", "nuvem:f", drawing="""
        .....mmmm.....
        ...mmllmmm....
        ..mllmmmmmmm..
        .mllmmmmmllmm.
        .mlmmmmmmmmmmm
        mlmmmmmmmmmmmm
        mmmmmmmmmmmmmd
        mmmmmmmmmmmddd
        .dddddddddddd.
    """),
    _kind("lightning", "raio:m", en="thunderbolt|lightning bolt", pt="relâmpago:m", drawing="""
        ....mmmmmm
        ...mllmmm.
        ...mlmmm..
        ..mlmmm...
        ..mlmmm...
        .mlmmmmmm.
        .mmmmmmm..
        ....mmm...
        ...mmm....
        ...mmd....
        ..mmd.....
        ..md......
        .md.......
        .d........
    """),
    _kind("flame", "chama:f", en="fire", pt="fogo:m", drawing="""
        .....m.....
        .....mm....
        ..m..mmm...
        ..mm.mmmm..
        ..mmmmmmm.m
        .mmmmlmmmmm
        .mmmllmmmmm
        mmmlllmmmmm
        mmllwllmmmd
        mmlwwwlmmmd
        mmlwwwwlmmd
        .mlwwwwlmd.
        ..mlwwlmd..
        ...mlldd...
    """),
    _kind("drop", "gota:f", en="droplet|raindrop", drawing="""
        ....mm....
        ....mm....
        ...mmmm...
        ...mlmm...
        ..mllmmm..
        ..mlmmmm..
        .mllmmmmm.
        .mlmmmmmm.
        mllmmmmmmd
        mlwmmmmmmd
        mmwwmmmmdd
        .mmmmmmdd.
        ..mmmddd..
    """),
    _kind("snowflake", "floco de neve:m", en="ice crystal", pt="floco:m", drawing="""
        ......m......
        ....m.m.m....
        ...m.mmm.m...
        mm.m..m..m.mm
        ..mm..l..mm..
        .mm.mmlmm.mm.
        ......l......
        .mm.mmlmm.mm.
        ..mm..l..mm..
        mm.m..m..m.mm
        ...m.mmm.m...
        ....m.m.m....
        ......m......
    """, small="""
        ....m....
        .m..m..m.
        ..m.m.m..
        ...mlm...
        mmmlllmmm
        ...mlm...
        ..m.m.m..
        .m..m..m.
        ....m....
    """),
    _kind("book", "livro:m", en="spellbook", drawing="""
        .mmmmmmmmmmm.
        mxllmmmmmmmmm
        mxlmmmmmmmmmm
        mxmmmyyyymmmm
        mxmmmyyyymmmm
        mxmmmyyyymmmm
        mxmmmmmmmmmmm
        mxmmyyyyyymmm
        mxmmmmmmmmmmm
        mxmmmmmmmmmmd
        mwwwwwwwwwwwd
        mwssssssssssd
        .mmmmmmmmmmmd
    """, small="""
        .mmmmmmmm
        mxllmmmmm
        mxlmyymmm
        mxmmyymmm
        mxmmmmmmm
        mxmyyyymm
        mxmmmmmmd
        mwwwwwwwd
        mwssssssd
        .mmmmmmmd
    """),
    _kind("scroll", "pergaminho:m", en="parchment", drawing="""
        .mmmmmmmmmmm.
        mdlllmmmmmmmd
        mdxxxxxxxxxxd
        ..mllmmmmmm..
        ..mlxxxxxmm..
        ..mlmmmmmmm..
        ..mlxxxxxmm..
        ..mlmmmmmmm..
        ..mlxxxmmmm..
        ..mmmmmmmmm..
        .mmmmmmmmmmm.
        mdllmmmmmmmmd
        mdxxxxxxxxxxd
    """, small="""
        .mmmmmmmm.
        mdllmmmmmd
        .xxxxxxxx.
        .mlmmmmmm.
        .mxxxxxmm.
        .mlmmmmmm.
        .mxxxxmmm.
        .mmmmmmmm.
        mdllmmmmmd
        .xxxxxxxx.
    """),
    _kind("letter", "carta:f", en="envelope|mail", pt="envelope:m", drawing="""
        mmmmmmmmmmmmmm
        mxllllllllllxm
        mlxllllllllxmm
        mllxllllllxmmm
        mlllxllllxmmmm
        mllllxyyxmmmmm
        mllllmyymmmmmd
        mllllmmmmmmmmd
        mlllmmmmmmmmdd
        mddddddddddddd
    """),
    _kind("bomb", "bomba:f", drawing="""
        .........o.y.
        ........y.o..
        .......nnoy..
        .....ssn.....
        ....sssss....
        ...mmmmmmm...
        ..mllmmmmmm..
        .mllmmmmmmmm.
        .mllmmmmmmmm.
        .mlmmmmmmmmd.
        .mmmmmmmmmmd.
        .mmmmmmmmmdd.
        ..mmmmmmmdd..
        ...mmmmddd...
    """),
    _kind("arrow", "seta:f", pt="flecha:f", drawing="""
        ......m.......
        ......mm......
        ......mlm.....
        mmmmmmmllm....
        mllllllllllm..
        mlmmmmmmmmmmm.
        mmmmmmmmmmmmd.
        mddddddmmmmd..
        ......mmmd....
        ......mdd.....
        ......dd......
        ......d.......
    """, small="""
        .....m....
        .....mm...
        .....mlm..
        mmmmmmllm.
        mlllllllmm
        mmmmmmmmd.
        .....mmd..
        .....md...
        .....d....
    """),
    _kind("bow", "arco:m", en="longbow", drawing="""
        ......mmmm....
        ....mmll.w....
        ...mlm...w....
        ..mlm....w....
        ..mlm....w....
        .smld....w....
        ssbbbbbbbbbbrr
        .smld....w....
        ..mmd....w....
        ..mmd....w....
        ...mmd...w....
        ....mmmd.w....
        ......mmdd....
    """),
    _kind("axe", "machado:m", en="hatchet", drawing="""
        ...bb....mm.
        ...bb..mmmmm
        mmmbbmmlllmm
        mmmbbmlllmmm
        mmmbbmllmmmm
        mmdbbmmmmmmd
        ...bb..mmmdd
        ...bb....dd.
        ...bb.......
        ...bb.......
        ...bn.......
        ...bn.......
        ...bn.......
        ...nn.......
    """),
    _kind("hammer", "martelo:m", en="mallet", pt="marreta:f", drawing="""
        .mmmmmmmmmmm.
        mllllmmmmmmmd
        mlmmmmmmmmmmd
        mlmmmmmmmmmdd
        mmmmmmmmmmddd
        .ddddddddddd.
        .....bbn.....
        .....bbn.....
        .....bbn.....
        .....bbn.....
        .....bbn.....
        .....bbn.....
        .....bnn.....
    """),
    _kind("pickaxe", "picareta:f", en="pick", drawing="""
        ....mmmmmm....
        ..mmllllmmmm..
        .mllmmmmmmmmm.
        mlmm.mbbmmmmmd
        mm....bb...mmd
        m.....bb.....d
        ......bb......
        ......bb......
        ......bb......
        ......bn......
        ......bn......
        ......bn......
        ......nn......
    """, small="""
        ..mmmmmm..
        .mlllmmmm.
        mlm.bb.mmd
        mm..bb..md
        m...bb...d
        ....bb....
        ....bb....
        ....bb....
        ....bn....
        ....nn....
    """),
    _kind("wand", "varinha:f", en="magic wand", pt="varinha mágica:f", drawing="""
        .........m....
        ........mlm...
        ........mlm...
        .....mmmllmmmm
        ......mllmmmd.
        .......mmmmd..
        .......mmmmd..
        ......mmmdmmd.
        ......md..md..
        .....bn.......
        ....bn........
        ...bn.........
        ..bn..........
        .bn...........
    """, small="""
        ......m...
        .....mlm..
        ...mmmlmmm
        ....mllmd.
        ....mmmm..
        ....mmmmd.
        ...bmd.md.
        ..bn......
        .bn.......
        bn........
    """),
    _kind("hat", "chapéu:m", en="wizard hat|witch hat", pt="chapéu de mago:m", drawing="""
        .......mm.....
        ......mlmm....
        ......mlmm....
        .....mlmmmd...
        .....mlmmmd...
        ....mllmmmd...
        ....mlmmmmmd..
        ...mllmmmmmd..
        ...mlmmmmmmd..
        ..yyyyyyyyyyy.
        ..YYYYYYYYYYY.
        mmmmmmmmmmmmmm
        .mmmmmmddddddd
    """),
    _kind("helmet", "capacete:m", en="helm", pt="elmo:m", drawing="""
        f............f
        ff...mmmm...ff
        fff.mllmmm.fff
        .ffmllmmmmmff.
        ..fmlmmmmmmf..
        ...mlmmmmmd...
        ..mllmmmmmmd..
        ..yyyyyyyyyy..
        ..yyyyyyyyyy..
        ..mmkkmmkkmd..
        ..mmkkmmkkmd..
        ..mdkkmmkkmd..
        ..md..mm..dd..
    """, small="""
        f........f
        ff.mmmm.ff
        .fmllmmmf.
        ..mlmmmm..
        .mllmmmmd.
        .yyyyyyyy.
        .mkkmmkkd.
        .mkkmmkkd.
        .m..mm..d.
    """),
    _kind("boot", "bota:f", drawing="""
        .ffffffff....
        .fFFFFFFf....
        ..mllmmd.....
        ..mlmmmd.....
        ..mlmmmd.....
        ..mlmmmd.....
        ..mlmmmmmmm..
        .mllmmmmmmmm.
        .mlmmmmmmmmmm
        .mmmmmmmmmmmd
        .nnnnnnnnnnnn
        .nnnn..nnnnnn
    """),
    _kind("mug", "caneca:f", en="cup", pt="xícara:f|copo:m", drawing="""
        ..w..w..w....
        .w..w..w.....
        mmmmmmmmm....
        mnnnnnnnm....
        mllmmmmmdmmm.
        mlmmmmmmd..mm
        mlmmmmmmd...m
        mlmmmmmmd..mm
        mlmmmmmmdmmm.
        mmmmmmmmd....
        mmmmmmmdd....
        .mmmmddd.....
    """, small="""
        mmmmmmm...
        mnnnnnm...
        mllmmmmmm.
        mlmmmmd.mm
        mlmmmmd..m
        mlmmmmd.mm
        mmmmmmmmm.
        .mmmddd...
    """),
    _kind("cake", "bolo:m", en="birthday cake", drawing="""
        ......yy......
        ......ww......
        ......ww......
        ..mmmmmmmmmm..
        .mllmmmmmmmmm.
        .mllmmmmmmmmm.
        .mmxmmmxmmxmm.
        .fmffmmffmffm.
        .ffffffffffff.
        .mmmmmmmmmmmd.
        .mmmmmmmmmmdd.
        wwwwwwwwwwwwww
        .wwwwwwwwwwww.
    """, small="""
        ....yy....
        ....ww....
        ..mmmmmm..
        .mllmmmmm.
        .mlmmmmmm.
        .mxmmxmxm.
        .ffffffff.
        .mmmmmmmd.
        .mmmmmmdd.
        wwwwwwwwww
    """),
    _kind("candle", "vela:f", drawing="""
        .....o.....
        ....oyo....
        ....oyo....
        .....n.....
        ...mmmmm...
        ...llmmd...
        ...mlmmd...
        ...mlmmd...
        ...mlmmd...
        ...mlmmd...
        ...mlmmd...
        YyyyyyyyyYY
        .YyyyyyyYY.
        ...YYYYY...
    """),
    _kind("lamp", "abajur:m", pt="luminária:f", drawing="""
        ....mmmmm....
        ...mllmmmm...
        ..mllmmmmmd..
        ..mlmmmmmmd..
        .mllmmmmmmmd.
        .mlmmmmmmmmd.
        mmmmmmmmmmmdd
        ....fffff....
        .....YYY.....
        ......Y......
        ......Y......
        .....YYY.....
        ...YYYYYYY...
    """),
    _kind("bell", "sino:m", drawing="""
        .....mm.....
        ....mmmm....
        ...mllmmm...
        ..mllmmmmd..
        ..mlmmmmmd..
        ..mlmmmmmd..
        ..mlmmmmmd..
        .mllmmmmmmd.
        .mlmmmmmmmd.
        mllmmmmmmmdd
        xxxxxxxxxxxx
        ....nnnn....
        .....nn.....
    """),
    _kind("balloon", "balão:m", pt="bexiga:f", drawing="""
        ...mmmm...
        .mmllmmmm.
        .mllmmmmm.
        mllmmmmmmm
        mlwmmmmmmd
        mlmmmmmmmd
        mmmmmmmmmd
        .mmmmmmmd.
        .mmmmmmdd.
        ..mmmmdd..
        ....md....
        ....s.....
        .....s....
        ....s.....
    """),
    _kind("umbrella", "guarda-chuva:m", en="parasol", pt="sombrinha:f", drawing="""
        ......mm......
        ...mmmllmmm...
        ..mlmxlmxmmmm.
        .mlmmxlmmxmmd.
        mllmxmlmmxmmmd
        mmmmxmmmmmxmdd
        m..mm.mm.mm..d
        ......bb......
        ......b.......
        ......b.......
        ......b.......
        ...b..b.......
        ...bbbb.......
    """, small="""
        ....mm....
        ..mmllmm..
        .mlmxlmxm.
        mllmxlmmxm
        mlmmxmmmxd
        m..m..m..d
        ....bb....
        ....b.....
        .b..b.....
        .bbbb.....
    """),
    _kind("boat", "barco:m", en="sailboat|ship", pt="veleiro:m|navio:m", drawing="""
        ......n.......
        .....mn.......
        ....mmnmm.....
        ....mlnmmm....
        ...mllnmmmm...
        ...mllnmmmmm..
        ..mlllnmmmmmm.
        ..mllmnmmmmmd.
        .mmmmmnddddddd
        ......n.......
        bbbbbbbbbbbbbb
        .bbbbbbbbbbbn.
        ..bbbbbbbbnn..
        ...nnnnnnnn...
    """),
    _kind("rocket", "foguete:m", en="spaceship", pt="nave:f", drawing="""
        .....mm.....
        ....mmmm....
        ...mllmmm...
        ...mlmmmm...
        ..mllccmmm..
        ..mlccccmd..
        ..mlccccmd..
        ..mlmccmmd..
        .SmlmmmmmdS.
        SSmlmmmmmdSS
        SSmmmmmmddSS
        S..mmmmdd..S
        ....oyyo....
        .....oo.....
    """, small="""
        ...mm...
        ..mllm..
        ..mlmm..
        .mlccmm.
        .mlccmd.
        .mlmmmd.
        SmlmmmdS
        SmmmmmdS
        S.mmdd.S
        ...oy...
    """),
    _kind("car", "carro:m", en="automobile", pt="automóvel:m", drawing="""
        ....mmmmmm....
        ...mcccmccm...
        ..mccccmcccm..
        .mmccccmcccmm.
        mllmmmmmmmmmmm
        mlmmmmmmmmmmmy
        mmmmmmmmmmmmmd
        mkkkmddddkkkdd
        .ksk.....ksk..
        .kkk.....kkk..
    """),
    _kind("robot", "robô:m", en="android", pt="androide:m", drawing="""
        ......rr......
        ......SS......
        ..mmmmmmmmmm..
        ..mllmmmmmmd..
        SSmlwwmmwwmdSS
        SSmlwkmmwkmdSS
        ..mmmmmmmmmd..
        ..mmkkkkkkmd..
        ..mmmmmmmmdd..
        ....SSSSSS....
        .mmmmmmmmmmmm.
        mlmmmwwwwmmmmd
        mmmmmwwwwmmddd
    """, small="""
        ....rr....
        .mmmmmmmm.
        .mllmmmmd.
        SmwwmmwwmS
        SmwkmmwkmS
        .mmmmmmmd.
        .mkkkkkkd.
        .mmmmmmdd.
        ...SSSS...
        .mmmmmmmd.
    """),
    _kind("alien", "alienígena:m", en="extraterrestrial", pt="extraterrestre:m|et:m", drawing="""
        ...mmmmmm...
        .mmllmmmmmm.
        mmllmmmmmmmm
        mllmmmmmmmmm
        mlmmmmmmmmmd
        mkkkmmmmkkkd
        mkwkkmmkwkkd
        mmkkkmmkkkmd
        .mmkkmmkkmd.
        ..mmmmmmmd..
        ..mmmmmmmd..
        ...mmkkmd...
        ....mmmd....
    """, small="""
        ..mmmmmm..
        .mllmmmmm.
        mllmmmmmmm
        mlmmmmmmmd
        mkkmmmmkkd
        mkwkmmkwkd
        mmkkmmkkmd
        .mmmmmmmd.
        ..mmkkmd..
        ...mmmd...
    """),
    _kind("bone", "osso:m", drawing="""
        .mm........mm.
        mllm......mmmm
        mlmmmmmmmmmmmd
        .mllllmmmmmmd.
        .mlmmmmmmmmmd.
        mlmmmmmmmmmmmd
        mmmm......mmmd
        .mm........dd.
    """, small="""
        mm......mm
        mlm....mmm
        .mlmmmmmd.
        .mmmmmmmd.
        mmm....mmd
        mm......dd
    """),
    _kind("leaf", "folha:f", drawing="""
        .........mmmm
        ......mmmmmxm
        ....mmllmmxmm
        ...mlllmmxmmm
        ..mlllmmxmmmd
        ..mllmmxmmmd.
        .mllmmxmmmmd.
        .mlmmxmmmmd..
        .mmmxmmmmd...
        .mmxmmmdd....
        .mxmdddd.....
        nn...........
        n............
    """),
    _kind("planet", "planeta:m", en="saturn", pt="saturno:m", drawing="""
        .....mmmm.....
        ...mmllmmmm...
        ..mllmmmmmmmyy
        ..mlmmmmmmmdyy
        .mllmmmmmmmyy.
        .mlmmmmmmyyyd.
        .mmmmmyyyymmd.
        .myyyyymmmmdd.
        yyymmmmmmmmd..
        yy.mmmmmmmdd..
        ...mmmmmddd...
        .....dddd.....
    """),
    _kind("note", "nota musical:f", en="music note|musical note", pt="nota:f", can_mirror=False, drawing="""
        ....mmmmmmmmm
        ....mlllmmmmm
        ....mmmmmmmmd
        ....mm.....md
        ....mm.....md
        ....mm.....md
        ....mm.....md
        ....mm.....md
        .mmmmm..mmmmd
        mllmmm.mllmmd
        mlmmmd.mlmmmd
        .mmmd...mmdd.
    """, small="""
        ..mmmmmmmm
        ..mllmmmmd
        ..m......d
        ..m......d
        ..m......d
        ..m......d
        mmm...mmmd
        mlm...mlmd
        mmd...mmd.
    """),
    _kind("padlock", "cadeado:m", en="lock", drawing="""
        ...SSSSS...
        ..SsSSSSS..
        ..Ss...SS..
        ..Ss...SS..
        ..Ss...SS..
        mmmmmmmmmmm
        mllmmmmmmmd
        mlmmkkkmmmd
        mlmmkkkmmmd
        mlmmmkmmmmd
        mmmmmkmmmmd
        mmmmmmmmmdd
        .ddddddddd.
    """, small="""
        ..SSSSS..
        .Ss...SS.
        .Ss...SS.
        .Ss...SS.
        mmmmmmmmm
        mllmmmmmd
        mlmmkmmmd
        mlmmkmmmd
        mmmmmmmdd
        .ddddddd.
    """),
    _kind("magnet", "ímã:m", drawing="""
        ssss....ssss
        ssss....ssss
        ssss....ssss
        mlmm....mmmd
        mlmm....mmmd
        mlmm....mmmd
        mlmm....mmmd
        mlmmm..mmmmd
        mllmmmmmmmmd
        .mlmmmmmmmd.
        .mmmmmmmmdd.
        ..mmmmmddd..
        ....dddd....
    """, small="""
        sss....sss
        sss....sss
        mlm....mmd
        mlm....mmd
        mlm....mmd
        mlmm..mmmd
        mllmmmmmmd
        .mmmmmmdd.
        ..mmmddd..
    """),
    _kind("flag", "bandeira:f", en="banner", drawing="""
        yy..........
        bb.mmmm.....
        bbmllmmmm..m
        bbmllmmmmmmm
        bbmllmmmmmmm
        bbmllmmmmmmd
        bbmlmmmmmmmd
        bbmm..mmmmdd
        bb......ddd.
        bb..........
        bb..........
        bn..........
        bn..........
        nn..........
    """),
    _kind("gift", "presente:m", en="present|gift box", drawing="""
        ..yyy...yyy..
        .yy.yy.yy.yy.
        ..yyyyyyyyy..
        mmmmmyyymmmmm
        mlllmyyymmmmd
        xxxxxYYYxxxxx
        .mlmmyyymmmd.
        .mlmmyyymmmd.
        .mlmmyyymmmd.
        .mlmmyyymmmd.
        .mmmmyyymmdd.
        .mmddYYYdddd.
    """, small="""
        .yyy..yyy.
        .y.yyyy.y.
        ..yyyyyy..
        mlmmyymmmm
        mllmyymmmd
        xxxxYYxxxx
        .mlmyymmd.
        .mlmyymmd.
        .mmmyymmd.
        .mmdYYddd.
    """),
    _kind("pumpkin", "abóbora:f", en="jack-o-lantern", drawing="""
        ......GG......
        .....gGG......
        ..mmmmggmmmm..
        .mllxmmmmxmmm.
        mllxmmlmmmxmmd
        mlmxmmlmmmxmmd
        mlmxkkmmkkxmmd
        mlmxkkmmkkxmmd
        mmmxmmmmmmxmmd
        mmmxkkkkkkxmdd
        .mmmxkmmkxmdd.
        ..mmmmmmmddd..
    """, small="""
        .....G....
        .mmmggmmm.
        mlmxmmxmmm
        mlxmmmmxmd
        mlkkmmkkmd
        mlkkmmkkmd
        mmxmmmmxmd
        mmkkkkkkdd
        .mmkmmkdd.
    """),
    _kind("butterfly", "borboleta:f", drawing="""
        ....k...k....
        .mmm.k.k.mmm.
        mllmm.k.mmmmm
        mlwwmmkmmwwmd
        mlwwmmkmmwwmd
        mmmmmmkmmmmmd
        .mmmmmkmmmmd.
        ..xmmmkmmmx..
        .mmmmmkmmmmd.
        .mmlmmkmmlmd.
        .mmmm.k.mmdd.
        ..mm.....dd..
    """, small="""
        ...k.k...
        mmm.k.mmm
        mllmkmmmm
        mlwmkmwmd
        mmmmkmmmd
        .mmmkmmd.
        .mmmkmmd.
        mlmmkmmmd
        mmm.k.mdd
    """),
    _kind("frog", "sapo:m", en="toad", pt="rã:f", drawing="""
        ..mmm....mmm..
        .mwwmm..mwwmm.
        .mwkmmmmmwkmm.
        .mwkmmmmmwkmm.
        mmmmmmmmmmmmmm
        mllmmmmmmmmmmd
        mlmmmxmmxmmmmd
        mlkmmmmmmmmkmd
        mmmkkkkkkkkmmd
        .mmmffffffmmd.
        ..mmmffffmdd..
    """, small="""
        .mmm..mmm.
        .mwm..mwm.
        .mkmmmmkm.
        mmmmmmmmmm
        mlmmmmmmmd
        mlkmmmmkmd
        mmmkkkkmmd
        .mffffffd.
        ..mffffd..
    """),
    _kind("ice cream", "sorvete:m", en="ice cream cone", drawing="""
        ...mmmm...
        ..mllmmm..
        .mllmmmmm.
        .mlmmmmmm.
        mmlmmmmmmd
        mmmmmmmmmd
        mxmmxmmxmd
        .bbbbbbbb.
        .bnbbnbbn.
        ..bbnbbn..
        ..bnbbnb..
        ...bbnb...
        ...bnbb...
        ....bb....
    """),
    _kind("anchor", "âncora:f", drawing="""
        .....mmm.....
        ....mm.mm....
        ....mm.mm....
        .....mmm.....
        ..mmmlmmmmm..
        ..mmmlmmmmm..
        .....lmm.....
        .....lmm.....
        .m...lmm...m.
        mmm..lmm..mmm
        mmm..lmm..mmm
        .mmm.lmm.mmd.
        ..mmmmmmmmd..
        ....mmmdd....
    """, small="""
        ...mmm...
        ...m.m...
        ...mmm...
        .mmlmmmm.
        ...lmm...
        m..lmm..m
        mm.lmm.mm
        mm.lmm.md
        .mmmmmmd.
        ...mmd...
    """),
    _kind("trophy", "troféu:m", en="trophy cup", pt="taça:f", drawing="""
        ..mmmmmmmmmm..
        mmmllmmmmmmmmm
        m.mlmmmmmmmm.m
        m.mlmmmmmmmd.m
        m.mlmmmmmmmd.m
        mmmlmmmmmmmdmm
        ..mmmmmmmmmd..
        ...mmmmmmmd...
        ....mmmmdd....
        ......md......
        ......md......
        ....bbbbbb....
        ...bbbbbbnn...
    """, small="""
        .mmmmmmmm.
        mmllmmmmmm
        m.lmmmmm.m
        m.lmmmmd.m
        mmlmmmmdmm
        ..mmmmmd..
        ...mmmd...
        ....md....
        ...bbbb...
        ..bbbbnn..
    """),
    _kind("turtle", "tartaruga:f", en="tortoise", drawing="""
        ....mmmmm.....
        ..mmllmmmmm...
        .mllxmmmxmmm..
        .mlmmxxxmmmmgg
        mlmxmmmmmxmgkg
        mmxmmmmmmmxggg
        dddddddddddgg.
        .ggg....ggg...
        .ggg....ggg...
    """, small="""
        ..mmmmm...
        .mlxmxmm..
        mllmxmmmgg
        mlmxmxmgkg
        ddddddddg.
        .gg..gg...
        .gg..gg...
    """),
    _kind("donut", "rosquinha:f", en="doughnut", pt="donut:m", drawing="""
        ....mmmm....
        ..mmllmmmm..
        .mlwmmmymmm.
        .mlmmmmmmmm.
        mlmmmFFmmymm
        mymmF..Fmmmm
        mmmmF..Fmwmd
        mmwmmFFmmmmd
        mmmmmmmymmmd
        .mmymmmmmmd.
        .ffmmwmmmff.
        ...ffffff...
    """, small="""
        ..mmmmm..
        .mllmmwm.
        mlmmymmmm
        mwmFFFmmm
        mmmF.Fmym
        mymFFFmmd
        mmmwmmmwd
        .mmmmymd.
        ..fffff..
    """),
    _kind("shirt", "camiseta:f", en="t-shirt", pt="camisa:f", drawing="""
        ...mmm..mmm...
        .mmmmmddmmmmm.
        mmmlmmmmmmmmmm
        mmmlmmmmmmmmmd
        mmmlmmmmmmmmdd
        .mmlmmmmmmmmd.
        ...lmmmmmmm...
        ...lmmmmmmd...
        ...lmmmmmmd...
        ...lmmmmmmd...
        ...mmmmmmmd...
        ...mmmmmddd...
    """),
    _kind("die", "dado:m", en="dice", drawing="""
        .mmmmmmmmmm.
        mllllmmmmmmm
        mlkkmmmmkkmd
        mlkkmmmmkkmd
        mlmmmmmmmmmd
        mmmmmkkmmmmd
        mmmmmkkmmmmd
        mmmmmmmmmmmd
        mmkkmmmmkkmd
        mmkkmmmmkkdd
        mmmmmmmmmddd
        .dddddddddd.
    """, small="""
        .mmmmmmm.
        mlllmmmmm
        mlkmmmkmd
        mlmmmmmmd
        mmmmkmmmd
        mmmmmmmmd
        mmkmmmkmd
        mmmmmmmdd
        .ddddddd.
    """),
)

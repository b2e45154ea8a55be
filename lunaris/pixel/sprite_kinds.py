"""The hand-drawn kinds of the procedural sprite set (PX-21): pixel maps of at most 14 x 14, names in English and Portuguese.

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
TINY_SIDE = 7


@dataclass(frozen=True)
class Kind:
    """One thing a sprite can show. `draw` is its pixel map (rows of `CLASSES`), `tiny` the same thing drawn again for 8 x 8 sprites and
    `small` for the small size, empty where `draw` survives being reduced. Portuguese synonyms carry their own gender."""

    name_en: str
    name_pt: str
    gender_pt: str
    draw: tuple[str, ...]
    tiny: tuple[str, ...]
    small: tuple[str, ...] = ()
    synonyms_en: tuple[str, ...] = ()
    synonyms_pt: tuple[tuple[str, str], ...] = ()
    can_mirror: bool = True


def _rows(drawing: str, side: int) -> tuple[str, ...]:
    rows = tuple(drawing.split())
    if len({len(row) for row in rows}) > 1 or max(map(len, (rows, *rows))) > side or not set("".join(rows)) <= set(CLASSES):
        raise ValueError(f"a pixel map must be a rectangle of at most {side} x {side} characters of {CLASSES!r}, got {rows}")
    return rows


def _kind(
    name_en: str, name_pt: str, drawing: str, *, tiny: str, small: str = "", en: str = "", pt: str = "", can_mirror: bool = True
) -> Kind:
    """A `Kind` from short notation: Portuguese words are written 'word:m' or 'word:f', lists are separated by '|'."""
    word, gender = name_pt.split(":")
    synonyms_en = tuple(item for item in en.split("|") if item)
    synonyms_pt = tuple((item.split(":")[0], item.split(":")[1]) for item in pt.split("|") if item)
    maps = _rows(drawing, MAP_SIDE), _rows(tiny, TINY_SIDE), _rows(small, SMALL_SIDE)
    return Kind(name_en, word, gender, *maps, synonyms_en, synonyms_pt, can_mirror)


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
    """, tiny="""
        ..b..
        ..w..
        .mlm.
        mlmmm
        mmmmd
        mmmdd
        .mdd.
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
    """, tiny="""
        .....lm
        ....lmd
        ...lmd.
        y.lmd..
        .yyd...
        .by....
        b..y...
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
    """, tiny="""
        sssssss
        sllymms
        sllymms
        syyyyys
        smmymds
        .smyds.
        ..sss..
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
    """, tiny="""
        .mm....
        ml.mmmm
        m..mmmm
        .mm.m.m
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
    """, tiny="""
        .ml.mm.
        mllmmmm
        mlmmmmd
        .mmmmd.
        ..mmd..
        ...d...
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
    """, tiny="""
        ...m...
        ...m...
        mmmlmmm
        .mllmd.
        ..mmm..
        .mmdmd.
        .m...d.
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
    """, tiny="""
        .llmmm.
        llxmxmd
        xxxxxxx
        .lxmxd.
        ..lmd..
        ...x...
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
    """, tiny="""
        ..lll..
        .lmmmm.
        lmmxmmd
        lmmxmmd
        lmmxmmd
        .mmmmd.
        ..ddd..
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
    """, tiny="""
        .mmmmm.
        ylmmmmy
        ymmymmy
        kkkykkk
        ymmymmy
        ymmmmdy
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
    """, tiny="""
        ...n.g.
        ...ng..
        .mmnmm.
        mllmmmm
        mlmmmmd
        mmmmmdd
        .mm.dd.
    """),
    _kind("cherry", "cereja:f", drawing="""
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
    """, tiny="""
        ....ggg
        ...ng..
        ..n.n..
        .n..n..
        mlm.n..
        mmd.mlm
        ....mmd
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
    """, tiny="""
        ..mmm..
        .mlwmm.
        mlmmmwm
        mwmmmmd
        mmmwmmd
        ..fff..
        ..ffF..
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
    """, tiny="""
        ..mmm..
        .mllmm.
        mlmmmmm
        mmmmxmd
        .mxmmd.
        ...b...
        ..bbn..
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
    """, tiny="""
        ...m...
        ..mlm..
        ..mmm..
        .mlmmm.
        ..mmm..
        mlmmmmd
        ...b...
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
    """, tiny="""
        ..mmm..
        .mmlmm.
        mmyyymm
        .mmymm.
        ..mmm..
        .g.g.g.
        ..ggg..
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
    """, tiny="""
        ..mmm..
        ..mlm.m
        m.mlm.m
        mmmlmmm
        ..mlm..
        ..mlm..
        .bbbbb.
    """),
    _kind("house", "casa:f", en="cottage", drawing="""
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
    """, tiny="""
        ...m...
        ..mlm..
        .mlmmm.
        mlmmmmm
        .fffff.
        .fcfbf.
        .fffbf.
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
    """, tiny="""
        m.m.m.m
        mmm.mmm
        mkmmmkm
        mlmmmmm
        mmmnmmm
        mmnnnmd
        mmnnnmd
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
    """, tiny="""
        m..m..m
        mm.l.mm
        mllmmmd
        mrmcmrd
        mmmmmdd
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
    """, tiny="""
        ..ccc..
        ...c...
        ..mmm..
        .m...m.
        m.....d
        .m...d.
        ..mdd..
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
    """, tiny="""
        .mmmmm.
        mllmmmm
        mkkmkkm
        mkkmkkd
        mmmkmmd
        .mmmmd.
        .mkmkd.
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
    """, tiny="""
        ..mmm..
        .mllmm.
        mlkmkmm
        mmkmkmd
        mmmmmmd
        mmmmmmd
        m.m.m.d
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
    """, tiny="""
        ..mmm..
        .mllmm.
        mlkmkmm
        mmmmmmd
        mmmmddd
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
    """, tiny="""
        ..mm...
        .mmmm.m
        mkmxmmm
        mmmxmmd
        .mmd..d
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
    """, tiny="""
        .mmm...
        ymkmm..
        .mmmmmm
        .ffmxxm
        .fffmd.
        ..fmd..
        ..y.y..
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
    """, tiny="""
        m.....m
        mm...mm
        mpmmmpm
        mlmmmmm
        mkmmmkd
        mmmpmmd
        .mmmmd.
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
    """, tiny="""
        .mmmmm.
        xmlmmmx
        xkmmmkx
        xmmfmmx
        xmfkfmx
        .ffkff.
        ..fpf..
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
    """, tiny="""
        .m...m.
        .p...p.
        .pm.mp.
        .mlmmm.
        mlkmkmd
        mmmpmmd
        .mmwmd.
    """),
    _kind("snail", "caracol:m", drawing="""
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
    """, tiny="""
        .mmmm..
        mlxxmmk
        mxmmxmf
        mxmxxmf
        mmxmmff
        .ffffff
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
    """, tiny="""
        ..m..
        .mlm.
        .mmm.
        wmwmw
        mwmwm
        mmmmd
        .mmd.
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
    """, tiny="""
        m..m..m
        .mlmmm.
        .lmmmm.
        mmmmmmm
        .mmmmd.
        .mmmdd.
        m..m..m
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
    """, tiny="""
        ..mmm.
        .mlm..
        mlm...
        mlm...
        mmm...
        .mmmmm
        ..mdd.
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
    """, tiny="""
        ..mmm..
        .mllmm.
        mlmmmmm
        mmmmddd
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
    """, tiny="""
        ..mmm
        .mlm.
        .mm..
        mmmmm
        ..mm.
        .md..
        .d...
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
    """, tiny="""
        ..m..
        ..mm.
        m.mmm
        mmlmm
        mmllm
        mlwwm
        .mwm.
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
    """, tiny="""
        ..m..
        ..m..
        .mlm.
        .mmm.
        mlmmd
        mmmmd
        .mmd.
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
    """, tiny="""
        ...m...
        .m.m.m.
        ..mmm..
        mmmlmmm
        ..mmm..
        .m.m.m.
        ...m...
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
    """, tiny="""
        .mmmmm
        mxlmmm
        mxmymm
        mxmmmm
        mxmmmd
        mwwwwd
        .mmmmm
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
    """, tiny="""
        .mmmmm.
        mlmmmmd
        .mxxxm.
        .mmmmm.
        .mxxmm.
        mlmmmmd
        .xxxxx.
    """),
    _kind("letter", "carta:f", en="envelope", pt="envelope:m", drawing="""
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
    """, tiny="""
        mmmmmmm
        mxlllxm
        mlxlxmm
        mllxmmd
        mmmmmdd
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
    """, tiny="""
        .....oy
        ....n..
        ...ss..
        .mmmm..
        mllmmm.
        mlmmmd.
        .mmdd..
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
    """, tiny="""
        ...m...
        ...mm..
        mmmmlm.
        mlllllm
        mmmmmd.
        ...md..
        ...d...
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
    """, tiny="""
        ..mmm..
        .mm.w..
        mm..w..
        sbbbbbr
        mm..w..
        .mm.w..
        ..mmd..
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
    """, tiny="""
        ..b.mm.
        mmbmmmm
        mmbmlmm
        mmbmmmd
        ..b.dd.
        ..b....
        ..n....
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
    """, tiny="""
        .mmmmm.
        mlmmmmd
        mlmmmmd
        .mmmdd.
        ...b...
        ...b...
        ...n...
    """),
    _kind("pickaxe", "picareta:f", drawing="""
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
    """, tiny="""
        .mmmmm.
        mlmbmmm
        m..b..d
        ...b...
        ...b...
        ...b...
        ...n...
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
    """, tiny="""
        ....m..
        ..mmlmm
        ...mmm.
        ...mmd.
        ..bm.d.
        .b.....
        b......
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
    """, tiny="""
        ...m...
        ...mm..
        ..mlm..
        ..mlmm.
        .mlmmd.
        .yyyyy.
        mmmmmdd
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
    """, tiny="""
        f.....f
        ff.m.ff
        .fmlmf.
        .mlmmm.
        .yyyyy.
        .mkmkm.
        .mkmkd.
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
    """, tiny="""
        .fff...
        .mlm...
        .mlm...
        .mlmm..
        .mmmmm.
        .mmmmmd
        .nnnnnn
    """),
    _kind("mug", "caneca:f", en="cup", pt="xícara:f", drawing="""
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
    """, tiny="""
        mmmmm..
        mnnnmmm
        mlmmm.m
        mlmmm.m
        mmmmmmm
        .mmdd..
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
    """, tiny="""
        ...y...
        ...w...
        .mmmmm.
        mllmmmm
        mxmxmxm
        fffffff
        mmmmmdd
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
    """, tiny="""
        ..o..
        ..y..
        .mmm.
        .lmd.
        .lmd.
        .lmd.
        yyyyy
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
    """, tiny="""
        ..mmm..
        .mlmmm.
        .mlmmd.
        mlmmmmd
        ...Y...
        ...Y...
        ..YYY..
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
    """, tiny="""
        ...m...
        ..mlm..
        .mlmmd.
        .mlmmd.
        mlmmmmd
        xxxxxxx
        ...n...
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
    """, tiny="""
        .mmm.
        mlmmm
        mlmmd
        mmmmd
        .mmd.
        ..s..
        .s...
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
    """, tiny="""
        ...m...
        .mmlmm.
        mlmxmmd
        m.mbm.d
        ...b...
        .b.b...
        ..b....
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
    """, tiny="""
        ...n...
        ..mnm..
        .mlnmm.
        mmlnmmd
        ...n...
        bbbbbbb
        .bbbnn.
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
    """, tiny="""
        ..m..
        .mlm.
        .mcm.
        .mcm.
        SmmmS
        SmmdS
        ..o..
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
    """, tiny="""
        ..mmmm.
        .mccmcm
        mlmmmmm
        mmmmmmd
        .kk.kk.
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
    """, tiny="""
        ...r...
        .mmmmm.
        SmlmmmS
        SwkmwkS
        .mmmmm.
        .mkkkm.
        .mmmdd.
    """),
    _kind("alien", "alienígena:m", en="extraterrestrial", pt="extraterrestre:m", drawing="""
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
    """, tiny="""
        .mmmmm.
        mllmmmm
        mmmmmmm
        kkmmmkk
        mkkmkkd
        .mmmmd.
        ..mkd..
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
    """, tiny="""
        mm...mm
        mlmmmmm
        .mmmmm.
        mmmmmmd
        mm...dd
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
    """, tiny="""
        ....mmm
        ..mmmxm
        .mlmxmm
        mllxmmd
        mlxmmd.
        mxmdd..
        n......
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
    """, tiny="""
        ..mmm..
        .mlmmmy
        mlmmmyy
        mmmmyym
        mmyyymd
        yymmmd.
        y.mdd..
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
    """, tiny="""
        ..mmmmm
        ..mlmmm
        ..m...m
        ..m...m
        .mm..mm
        mlm.mlm
        mmd.mmd
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
    """, tiny="""
        .SSSSS.
        .S...S.
        .S...S.
        mmmmmmm
        mlmkmmd
        mmmkmmd
        mmmmmdd
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
    """, tiny="""
        ss...ss
        ss...ss
        mm...mm
        ml...md
        mlm.mmd
        mmmmmmd
        .mmmdd.
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
    """, tiny="""
        bmm....
        bmlmmmm
        bmlmmmm
        bmmmmmd
        b...mmd
        b......
        b......
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
    """, tiny="""
        .yy.yy.
        ..yyy..
        mmmymmm
        xxxYxxx
        mlmymmd
        mmmymmd
        mmdYddd
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
    """, tiny="""
        ...G...
        .mmgmm.
        mlxmxmm
        mkkmkkd
        mmxmxmd
        mkkkkkd
        .mmkmd.
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
    """, tiny="""
        mm.k.mm
        mlmkmmm
        mwmkmwm
        .mmkmm.
        mlmkmmd
        mm.k.dd
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
    """, tiny="""
        .mm.mm.
        mwkmwkm
        mmmmmmm
        mlmmmmd
        mkkkkkd
        .mffmd.
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
    """, tiny="""
        .mmm.
        mlmmm
        mlmmd
        mmmmd
        .bbb.
        .bnb.
        ..b..
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
    """, tiny="""
        ..mmm..
        ..m.m..
        .mmmmm.
        ...l...
        m..m..m
        mm.m.md
        .mmmdd.
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
    """, tiny="""
        mmlmmmm
        m.lmm.m
        mmlmmdm
        ..mmd..
        ...m...
        ...d...
        ..bbb..
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
    """, tiny="""
        .mmmm..
        mlxmxm.
        mlmxmmg
        dddddgg
        .g..g..
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
    """, tiny="""
        .mmmmm.
        mllmwmm
        mmyFmmm
        mmF.Fym
        mymFmmd
        mmwmmmd
        .fffff.
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
    """, tiny="""
        .mm.mm.
        mmmdmmm
        mmlmmmd
        .mlmmm.
        .mmmmd.
        .mmmdd.
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
    """, tiny="""
        mmmmmmm
        mklmmkm
        mlmmmmm
        mmmkmmd
        mmmmmmd
        mkmmmkd
        mmmmddd
    """),
)

"""Stopwords by language: they separate candidate phrases."""

from __future__ import annotations

_LISTS = {
    "en": """
        a an the this that these those some any each every no not nor and or but if then than so as of at by for
        from in into on onto to with without within about above after again against all almost along also
        although always am among are around be became because become becomes been before begins being behind
        below between both can cannot could did do does doing done down during either else ever few finally find
        finds first get gets goes had has have having he her here hers herself him himself his how however i is
        it its itself just know known last least let like made make makes making many may me meanwhile might
        mine more most much must my myself near neither never new next now off often once one only other others
        our ours out over own perhaps put quite rather really same she should since something soon still such
        take takes tell their theirs them themselves there they thing things though three through thus together
        too toward towards trying turns two under until up upon us very was way we well were what whatever when
        where whether which while who whole whom whose why will would yet you your yours
    """,
    "de": """
        der die das den dem des ein eine einen einem einer eines und oder aber doch nicht nur auch als wie wenn
        weil dass ob in im an am auf aus bei mit nach von vom zu zum zur für durch gegen ohne um über unter vor
        zwischen ist sind war waren sein seine seinen seinem seiner ihr ihre ihren ihrem ihrer er sie es wir ich
        du man sich hat haben hatte wird werden wurde kann können muss soll will mehr sehr noch schon so da dort
        hier dann nun alle alles kein keine dieser diese dieses wo wer was
    """,
    "fr": """
        le la les un une des du de d l au aux et ou mais donc or ni car ne pas plus que qui quoi dont où ce cet
        cette ces son sa ses leur leurs mon ma mes ton ta tes notre nos votre vos il elle ils elles on nous vous
        je tu se s en y à dans par pour sur sous avec sans entre vers chez est sont était être a ont avait avoir
        fait très tout tous toute toutes même si comme quand alors aussi bien
    """,
    "es": """
        el la los las un una unos unas de del al y o u pero no ni que quien cuyo donde cuando como en a por para
        con sin sobre entre hasta desde su sus mi mis tu tus se le les lo me te nos es son era fue ser está
        están ha han había más muy todo toda todos todas este esta estos estas ese esa ya si también
    """,
    "it": """
        il lo la i gli le un uno una di del dello della dei degli delle a al alla ai alle da dal dalla in nel
        nella nei con su sul sulla per tra fra e o ma non che chi cui dove quando come si se suo sua suoi sue
        loro mio è sono era ha hanno più molto tutto tutti questo questa anche
    """,
    "pt": """
        o a os as um uma uns umas de do da dos das em no na nos nas por pelo pela para com sem sobre entre até e
        ou mas não que quem cujo onde quando como se seu sua seus suas é são era foi ser está tem mais muito
        todo toda este esta ele ela eles também
    """,
    "nl": """
        de het een en of maar niet van in op aan bij met naar uit voor door over onder tot tegen zonder tussen
        is zijn was waren wordt worden heeft hebben had hij zij ze het ik je we hun haar zijn die dat deze dit
        wie wat waar als dan nog ook al meer zeer er
    """,
}
FUNCTION_WORDS = {language: frozenset(words.split()) for language, words in _LISTS.items()}
SHORTEST = 4
"""If a language has no list, words with fewer letters count as stopwords."""


def is_function_word(word: str, language: str) -> bool:
    """Whether a case-folded word is a stopword in this language (its first subtag decides)."""
    listed = FUNCTION_WORDS.get(language.partition("-")[0].casefold())
    return len(word) < SHORTEST if listed is None else word in listed or len(word) < 2

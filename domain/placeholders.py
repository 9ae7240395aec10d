"""What people write where they have no address: "n/a", "keine", "no email", a dash."""

from __future__ import annotations

import re

LONGEST = 40
"""Characters; what is longer was not written to fill a gap."""

WORDS = frozenset(
    """
    n na nd nn nil null nan none no nothing nobody noone x test testing tester dummy fake sample example placeholder
    noemail nomail noemailaddress nomailaddress noaddress nophone nophonenumber nonumber nomobile nocell
    notavailable unavailable notapplicable notprovided notgiven notknown notset unknown missing undefined invalid
    blank empty tbd tbc tba todo pending email mail emailaddress phone phonenumber mobile asdf qwerty abc
    refused declined withheld
    ka nv kein keine keiner keines nein nichts keineemail keinemail keineemailadresse keinemailadresse keineadresse
    keintelefon keinetelefonnummer keinenummer keinhandy keinehandynummer nichtvorhanden nichtbekannt nichtangegeben
    unbekannt fehlt entfällt entfaellt offen leer folgt
    nc non aucun aucune sans vide néant neant inconnu inconnue aucunemail sansemail pasdemail pasdemél pasdadresse
    pasdetéléphone pasdetelephone sanstéléphone sanstelephone nonrenseigné nonrenseigne noncommuniqué noncommunique
    nondisponible àcompléter acompleter
    nada ninguno ninguna sincorreo sinemail sinmail sintelefono sinteléfono sindatos notiene nohay desconocido
    desconocida nodisponible pendiente
    nenhum nenhuma não nao semmail sememail semtelefone nãotem naotem desconhecido nãoinformado naoinformado
    nãodisponível naodisponivel
    nessuno nessuna senza senzaemail senzamail senzatelefono sconosciuto sconosciuta nondisponibile assente mancante
    nvt geen geenemail geenmail geenemailadres geentelefoon geennummer onbekend ontbreekt
    brak brakemail brakemaila brakadresu braktelefonu brakdanych nieznany nieznane niema niedotyczy
    není neni nemá nema žádný zadny žádné zadne bezemailu bezmailu beztelefonu neznámý neznamy neuvedeno chybí chybi
    nieje žiadny ziadny žiadne ziadne neuvedené neuvedene chýba chyba
    ingen inget ingenemail ingenepost ingenmail ingentelefon saknas okänd okand mangler ukendt ukjent ejangivet
    eiole eitiedossa eisähköpostia puuttuu tuntematon
    nincs nincsemail nincsadat ismeretlen
    lipsă lipsa fărăemail faraemail nuare necunoscut
    yok bilinmiyor epostayok epostasıyok telefonyok
    нет неизвестно неизвестен отсутствует нетпочты нетемейла неттелефона неуказано немає невідомо
    όχι κανένα δενέχει άγνωστο
    אין איןמייל איןאימייל איןדואל איןטלפון לאידוע חסר
    لا لايوجد غيرمعروف غيرمتوفر
    无 無 没有 沒有 暂无 未知 なし 無し 不明 未定 없음 모름
    """.split()
)
"""In lower case, without anything that is no letter and no digit."""

NO_LETTER = re.compile(r"[\W_]+")
FILLING = re.compile(r"([^\W\d_])\1*|0+|([0-9])\2{3,}|0?123456(?:7(?:8(?:90?)?)?)?")
"""The same sign again and again, or the digits in their order."""
SHORTEST_MAILBOX = 4
"""Letters before an @ that are a word and not somebody's initials."""

NOBODY = (
    r"^(?i-u:(?:no[._-]?e?[._-]?mail(?:[._-]?address)?|without[._-]?e?mail|none|unknown|nobody|not[._-]?(?:provided|available|known|given)"
    r"|keine?[._-]?e?[._-]?mail|unbekannt|sans[._-]?e?mail|sin[._-]?(?:correo|email)|senza[._-]?e?mail|geen[._-]?e?mail|brak[._-]?e?maila?)@"
    r"|(?:test|e?mail|none|no|na|x+|abc|asdf)@(?:test|example|e?mail|none|no|na|x+|abc|asdf|domain)\.[a-z]+$)"
)
"""An address that is well formed, and plainly somebody's way to say that there is none; for Rust."""


def is_placeholder(text: str) -> bool:
    """The text, which is no address, stands for one that is not there; before an @, the mailbox says so."""
    if len(text) > LONGEST:
        return False
    mailbox, at, _domain = text.partition("@")
    word = NO_LETTER.sub("", mailbox.lower())
    if at:
        return not word or (word in WORDS and len(word) >= SHORTEST_MAILBOX)
    return not word or word in WORDS or FILLING.fullmatch(word) is not None

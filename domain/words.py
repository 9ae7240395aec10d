# ruff: noqa: RUF001, SIM905  these are words of many languages, and easier to read without commas
"""What operators write in their languages for yes and no, for the months, and where they have no address."""

from __future__ import annotations

TRUE_WORDS = """
    true yes y t 1 on x ja j wahr oui vrai si sí sì vero verdadero cierto sim verdadeiro waar sand sandt sann sant kyllä
    tosi ano áno pravda tak prawda da igen igaz evet doğru ναι да истина так כן אמת نعم はい 是 예 ✓ ✔ ☑
""".split()
FALSE_WORDS = """
    false no n f 0 off nein falsch non faux falso não nao nee onwaar nej nei falsk falskt usann ei epätosi ne nie
    nepravda fałsz nu nem hamis hayır hayir yanlış όχι нет ложь ні לא שקר لا いいえ 否 아니요 ✗ ✘ ☐
""".split()
"""In lower case."""

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar jänner janvier janv enero ene janeiro gennaio gen januari",
            "february feb februar februari février fevrier févr fevr febrero fevereiro fev febbraio febb",
            "march mar märz maerz mär mrz mars marzo março marco maart mrt",
            "april apr avril avr abril abr aprile",
            "may mai mayo maio maggio mag mei",
            "june jun juni juin junio junho giugno giu",
            "july jul juli juillet juil julio julho luglio lug",
            "august aug août aout agosto ago augustus",
            "september sep sept septembre septiembre setembro settembre set",
            "october oct oktober okt octobre octubre outubro out ottobre ott",
            "november nov novembre noviembre novembro",
            "december dec dezember dez décembre decembre déc diciembre dic dezembro dicembre",
        ),
        1,
    )
    for name in names.split()
}
"""In the languages in which no name means two months: English, German, French, Spanish, Portuguese, Italian, Dutch."""

NO_ADDRESS = frozenset(
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

"""Older encodings: exactly what was written, or a refusal; never other letters."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest

from domain.errors import FileErrorCode, FileProblem
from files.delimited import read_delimited
from files.handover import mapped
from files.layouts import Encoding, Layout, Limits, is_legacy
from files.legacy_encodings import READ, known_encoding

# ruff: noqa: RUF001 - letters of other scripts look like Latin ones
WESTERN = ("cp1252", "iso-8859-15", "mac-roman", "cp850")
CENTRAL = ("cp1250", "iso-8859-2", "cp852")
CYRILLIC = ("cp1251", "koi8-u", "cp866", "iso-8859-5", "mac-cyrillic")
LISTS: dict[str, tuple[tuple[str, ...], str]] = {
    "German": (
        WESTERN,
        (
            "Jürgen Müller|Käthe Weiß|Björn Schröder|Görlitzer Straße 4|Grüße aus Lübeck|Öttinger|Übelacker|Bärbel Größl|"
            "Günther Voßkuhl|Fränkische Höhe|Gmünd|Jäckel|Töpfer|Hänsel Süßmilch|Königstein|Rößler|Dürnberg|Ärztehaus|"
            "Mühlacker|Köpenick"
        ),
    ),
    "French": (
        WESTERN[:3],
        (
            "Hélène Lefèvre|François Müller|Aurélie Bézier|Gaëlle Prévost|Noël Crépin|Jérôme Lemaître|Étienne Forêt|"
            "Rue de l’Église|Maëlle Ségur|Zoë Châtelain|Benoît Guérin|Anaïs Crête|Clémence Dupré|Cédric Beauchêne|Sœur Thérèse|"
            "Déjà réglé|Mémé Gâteau|Agnès Hébrard|Françoise Évrard|Loïc Kerouédan"
        ),
    ),
    "Spanish": (
        WESTERN,
        (
            "José Muñoz|María Núñez|Begoña Ibáñez|Ángel Peña|Iñaki Zúñiga|Señora García|Íñigo Cañizares|Sofía Ordóñez|"
            "Compañía Logroñesa|Jesús Millán|Víctor Avilés|Ramón Bermúdez|Año Nuevo|Niño Jesús|Andrés Yáñez|Lucía Ávila|"
            "Toñi Piñeiro|Mónica Añón|España Única|Raúl Sáenz"
        ),
    ),
    "Portuguese": (
        WESTERN,
        (
            "João Conceição|Antônio Guimarães|Inês Gonçalves|Luís Simões|São Paulo|Estêvão Leitão|Sebastião Falcão|"
            "Assunção Brandão|Mônica Corrêa|Patrícia Araújo|Márcio Magalhães|Cláudia Trovão|Flávio Varão|Otávio Galvão|Irmã Lúcia|"
            "Renovação já|Atenção máxima|Vitória Régia|Ângela Maçã|Fundação Açoriana"
        ),
    ),
    "Scandinavian": (
        WESTERN[:3],
        (
            "Søren Kjærgård|Åse Bjørnson|Jørgen Ødegård|Håkan Sjöström|Mårten Åkerblom|Bjørk Nygård|Lærke Østergård|"
            "Göran Bergström|Pål Sørlie|Ragnhild Mørk|Kåre Løvås|Tåsinge Møllevej|Gårdsvägen|Björn Hägglöf|Märta Öberg|Sjöbo|"
            "Ærø Havn|Rønnaug Skjåk|Ängelholm|Örjan Wåhlin"
        ),
    ),
    "Polish": (
        CENTRAL,
        (
            "Łukasz Wójcik|Małgorzata Dąbrowska|Zażółć|Świętosław Gęś|Żaneta Błaszczyk|Stanisław Krzyżak|Paweł Źrebiec|"
            "Bożena Śliwińska|Grażyna Łęcka|Mirosław Mączka|Ulica Święta|Jędrzej Gąsior|Agnieszka Półtorak|Wacław Bąk|Żółkiewski|"
            "Łucja Kępa|Ślązak|Ryś Ostrożny|Kołłątaj|Częstochowa Główna"
        ),
    ),
    "Czech": (
        CENTRAL,
        (
            "Jiří Dvořák|Tomáš Růžička|Božena Němcová|Ondřej Šťastný|Kateřina Žáková|Matěj Říha|Zdeněk Čížek|Václav Ježek|"
            "Eliška Kovářová|Přemysl Bureš|Příbram|Štěpán Novotný|Žďár nad Sázavou|Lucie Hrušková|Řehoř Vaněk|Dětský kůň|"
            "Věra Šimůnková|Jaroměř|Anežka Plíšková|Kroměříž"
        ),
    ),
    "Hungarian": (
        CENTRAL,
        (
            "László Szűcs|Győző Erdős|Erzsébet Kovács|Ágnes Tóth|Gergő Fekete-Győri|Dezső Bődi|Fűtőmű|Jenő Törőcsik|"
            "Hódmezővásárhely|Zoltán Hegedűs|Orsolya Üveges|Ödön Kőszegi|Bíró Gergely|Rezső Vörös|Tűzoltó utca|Péter Gyűrű|"
            "Szőke Csillag|Kádár Mihály|Ördög Nóra|Kőbánya"
        ),
    ),
    "Turkish": (
        ("cp1254", "cp857"),
        (
            "Şükrü Yıldız|İbrahim Çağlar|Ayşe Öztürk|Gülşen Doğan|Çiğdem Işık|Uğur Şimşek|Işıl Güneş|Ömer Kılıç|Müjde Aydın|"
            "Yağmur Sarıgül|Tuğçe Başaran|Barış Çetin|Fatoş Güler|Kadıköy İskelesi|Beşiktaş|Eskişehir|Zübeyde Hanım|Ağrı Dağı|"
            "Muğla Çarşı|Nilüfer Şen"
        ),
    ),
    "Russian": (
        CYRILLIC,
        (
            "Иван Петров|Юлия Щербакова|Алексей Жуков|Фёдор Цыганков|Екатерина Хмелёва|Наталья Эйдельман|Пётр Шишкин|"
            "Ольга Яковлева|Сергей Воробьёв|Москва|Улица Чехова|Людмила Зыкина|Григорий Мельник|Дарья Бойко|Ульяна Орехова|"
            "Виктор Юдин|Новый клиент|Продление полиса|Анна Кузьмина|Борис Ефремов"
        ),
    ),
    "Greek": (
        ("cp1253", "iso-8859-7"),
        (
            "Γιώργος Παπαδόπουλος|Ελένη Δημητρίου|Κώστας Βασιλείου|Αικατερίνη Οικονόμου|Θεόδωρος Αγγελόπουλος|Άννα Ξενάκη|"
            "Χρήστος Καραγιάννης|Σοφία Νικολάου|Ιωάννης Ζαχαρίας|Μαρία Ψαρρού|Αθήνα|Οδός Ερμού|Στέλιος Ρήγας|Φώτης Τζανής|"
            "Όλγα Λάμπρου|Ευάγγελος Μακρής|Ηλίας Ευθυμίου|Πέτρος Γκίκας|Δήμητρα Κοντού|Βόλος"
        ),
    ),
    "Hebrew": (
        ("cp1255", "cp862"),
        (
            "דוד כהן|שרה לוי|משה מזרחי|יעל פרידמן|אברהם ביטון|נועה שפירא|יוסף אזולאי|רחל גולדברג|תמר בן דוד|אורי רוזנברג|"
            "חיים כץ|מיכל אוחיון|איתן פרץ|רבקה שטיין|תל אביב|רחוב הרצל|ירושלים|אסתר נחום|גלעד צור|חידוש פוליסה"
        ),
    ),
    "Japanese": (
        ("cp932", "euc-jp"),
        (
            "山田太郎|佐藤花子|鈴木一郎|高橋美咲|田中健太|伊藤さくら|渡辺直樹|中村由美|小林大輔|加藤恵子|東京都新宿区|大阪市|"
            "吉田誠|山本ケンジ|井上真理|木村拓也|林あかり|清水浩二|山崎陽子|森下ひとみ"
        ),
    ),
    "Chinese": (
        ("gb18030",),
        "张伟|王芳|李娜|刘洋|陈静|杨勇|赵敏|黄磊|周杰|吴秀英|徐明|孙丽华|马超|朱红|胡建国|林晓东|北京市朝阳区|上海|何志强|郭文",
    ),
    "Korean": (
        ("cp949",),
        (
            "김민수|이영희|박지성|최수진|정우성|강하늘|조현우|윤미래|장동건|임재범|서울시 강남구|부산|한지민|오세훈|신민아|"
            "권상우|황정민|송혜교|류현진|안정환"
        ),
    ),
}
LIMITS = Limits()


def parsed(content: bytes) -> tuple[Layout, list[tuple[object, ...]]]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        layout, rows = read_delimited(Path(file.name), file_name="list.csv", limits=LIMITS)
    with rows:
        return layout, mapped(rows).rows()


def refusal(content: bytes) -> str:
    with pytest.raises(FileProblem) as caught:
        parsed(content)
    assert caught.value.code is FileErrorCode.UNREADABLE
    return str(caught.value)


CASES = [(language, encoding) for language, (encodings, _) in LISTS.items() for encoding in encodings]


@pytest.mark.parametrize(("language", "encoding"), CASES)
def test_twenty_names_say_in_which_encoding_they_are(language: str, encoding: str) -> None:
    names = [name for name in LISTS[language][1].split("|") if _fits(name, encoding)]
    content = "".join(f"{name};{number}\r\n" for number, name in enumerate(["name", *names])).encode(encoding)

    layout, rows = parsed(content)

    assert rows == [(2 + number, name, str(1 + number)) for number, name in enumerate(names)]
    assert is_legacy(layout.encoding)


@pytest.mark.parametrize(("language", "encoding"), CASES)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_names_are_read_as_they_were_written_or_not_at_all(language: str, encoding: str, count: int) -> None:
    chance = random.Random(f"{language} {encoding} {count}")
    names = [name for name in LISTS[language][1].split("|") if _fits(name, encoding)]
    for _ in range(12):
        content = "\n".join(chance.sample(names, count)).encode(encoding)

        found = known_encoding([content])

        assert found is None or content.decode(found) == content.decode(encoding)


def _fits(name: str, encoding: str) -> bool:
    try:
        return name.encode(encoding).decode(encoding) == name
    except UnicodeEncodeError:
        return False


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "name;text\nMüller;Größe\nSchäfer;Straße\n"),
        ("cp1252", "name;premium\nO\u2019Brien;€ 25\nRenée Müller;\u201cno\u201d \u2013 50 °\n"),
        ("cp932", "name|mail\n表示ソフト能力|a@b.jp\n山田太郎|c@d.jp\n"),
        ("gb18030", "name,plan\n张伟,VIP客户\n王芳,普通客户\n李娜,\n"),
    ],
)
def test_signs_and_second_bytes_that_look_like_others_are_no_hindrance(encoding: str, text: str) -> None:
    header, *lines = text.splitlines()
    separator = header[4]

    assert parsed(text.encode(encoding))[1] == [
        (2 + number, *(cell or None for cell in line.split(separator))) for number, line in enumerate(lines)
    ]


MUELLERS = "Jürgen Müller\nBärbel Größl\nGünther Voß\nKäthe Weiß\nBjörn Schröder\n"


@pytest.mark.parametrize(
    "content",
    [
        "Zo\xeb\n".encode("cp1252"),
        b"\x80 25\n",
        MUELLERS.encode().replace("ö".encode(), b"\xc3"),
        MUELLERS.encode() + b"\xff\n",
        (MUELLERS * 3).encode("cp1252") + "Müller\n".encode(),
        (MUELLERS * 3).encode("cp1252") + "Hélène Müller\n".encode("cp850"),
        (MUELLERS * 3).encode("cp1252") + b"M\x81ller\n",
        "Иван Петров\nЮлия Жукова\n".encode().replace("П".encode(), b"\xd0"),
        "דוד כהן\nשרה לוי\n".encode()[:-2] + b"\n",
        "გიორგი\nნინო\n".encode()[:-2] + b"\n",
        bytes(range(0x80, 0x100)) + b"\n",
    ],
)
def test_what_may_be_something_else_or_damaged_is_refused_with_its_row(content: bytes) -> None:
    assert "has a letter that cannot be read" in refusal(b"name\n" + content)


def test_no_readable_encoding_is_one_that_python_has_not() -> None:
    assert all(b"a".decode(encoding) == "a" for encoding in READ)


def test_a_large_list_is_looked_at_from_all_sides_and_not_everywhere() -> None:
    """Else a million rows would take minutes; the evidence of a thousand words is more than enough."""
    lines = "".join(f"Größe{number};Müller\r\n" for number in range(100_000))

    layout, rows = parsed(f"a;b\r\n{lines}".encode("cp1252"))

    assert layout.encoding == "cp1252"
    assert rows[-1] == (100_001, "Größe99999", "Müller")


@pytest.mark.parametrize("content", [b"a" * 3_000_000 + b" \xfc", b"\xfc" * 3_000_000, b"a" * 9_000 + b"\xfc"])
def test_an_endless_word_is_refused_at_once(content: bytes) -> None:
    assert known_encoding([content]) is None


def test_one_line_of_another_encoding_in_a_long_list_is_noticed() -> None:
    lists = [text for encodings, text in LISTS.values() if "cp1252" in encodings]
    names = "\n".join(lists).replace("|", "\n")

    assert known_encoding([names.encode("cp1252")]) == "cp1252"
    assert known_encoding([names.encode("cp1252"), "\nGörlitzer Straße".encode("cp850")]) is None
    assert known_encoding([names.encode("cp1252"), "\nGörlitzer Straße".encode()]) is None


def test_the_language_of_the_list_helps_where_one_word_says_little() -> None:
    """Of a few French names only the grave accent tells the Western code page from the Central European one."""
    names = "Hélène\nOrléans\nFrançois\nBesançon\nGaël\nNîmes\n"

    assert known_encoding([names.encode("cp1252")]) == "cp1252"


def test_an_encoding_is_kept_in_the_layout() -> None:
    encoding: Encoding = "cp1255"

    layout = Layout.from_json(Layout("csv", ("a",), encoding=encoding).to_json())

    assert (layout.encoding, layout.older_encoding) == ("cp1255", "Windows-1255")
    assert Layout("csv", ("a",)).older_encoding is None

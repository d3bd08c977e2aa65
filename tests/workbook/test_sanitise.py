import re

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from depthclip_core.workbook.sanitise import (
    ATTRIBUTES,
    INLINE_TAGS,
    TAGS,
    sanitised,
    sanitised_inline,
)

PIXEL = "data:image/png;base64,iVBORw0KGgo="
HOSTILE = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//a.org/x.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "<img/src='x'/onerror=alert(1)>",
    '<img src="https://a.org/x.png" srcset="https://a.org/y.png 2x">',
    '<img src="data:text/html,<script>alert(1)</script>">',
    '<a href="javascript:alert(1)">a</a>',
    '<a href=" JaVa&#10;ScRiPt&colon;alert(1)">a</a>',
    '<a href="\x01java\tscript:alert(1)">a</a>',
    '<a href="data:text/html,<script>alert(1)</script>" target=_top ping=//a.org>a</a>',
    '<a href="vbscript:x">a</a><a href="//a.org/x">b</a><a href="file:///etc/passwd">c</a>',
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    '<svg><a xlink:href="javascript:alert(1)"><text>a</text></a></svg>',
    '<svg><use href="data:image/svg+xml,<svg id=x onload=alert(1)>#x"/></svg>',
    '<svg><use xlink:href="https://a.org/x.svg#a"/><image href="https://a.org/x.png"/></svg>',
    "<svg><animate attributeName=href to=javascript:alert(1) /><set attributeName=onload /></svg>",
    "<svg><foreignObject><iframe srcdoc='<script>alert(1)</script>'></foreignObject></svg>",
    "<svg><style>@import url(//a.org/x.css)</style><path fill='url(//a.org/x#y)'/></svg>",
    r"<svg><path fill='u\72l(//a.org/x#y)' style='fill: u\72l(//a.org/x)'/></svg>",
    '<svg><filter id=f><feImage href="//a.org/x.png"/></filter></svg>',
    '<math href="javascript:alert(1)"><mi xlink:href="javascript:alert(1)">x</mi></math>',
    "<math><annotation-xml encoding=text/html><img src=x onerror=alert(1)></annotation-xml></math>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table>",
    "<math><maction actiontype=statusline xlink:href=javascript:alert(1)>x</maction></math>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'>",
    "<style>@import 'https://a.org/x.css'; * { background: url(//a.org/x) }</style>",
    '<p style="background: url(//a.org/x); position: fixed; behavior: url(x); color: red">a</p>',
    '<p style="color: red; border: 1px solid expression(alert(1)); width: 10px">a</p>',
    '<meta http-equiv=refresh content="0;url=https://a.org"><base href="https://a.org/">',
    '<link rel=stylesheet href="https://a.org/x.css">',
    "<form action=https://a.org><input name=cookie><button formaction=javascript:alert(1)>a</form>",
    "<iframe srcdoc='<script>alert(1)</script>' src=//a.org></iframe>",
    "<object data=//a.org></object><embed src=//a.org><video src=//a.org poster=//a.org><source>",
    "<template><script>alert(1)</script></template><marquee onstart=alert(1)>a</marquee>",
    "<body onload=alert(1)><table background=//a.org><td background=//a.org>a</table>",
    "<p id=top name=body onclick=alert(1) contenteditable autofocus tabindex=1>a</p>",
    "<!--><img src=x onerror=alert(1)>--><![CDATA[<script>alert(1)</script>]]>",
    "</section></body><h1>a</h1><textarea><img src=x onerror=alert(1)></textarea><plaintext>",
]


def dangers(html):
    """Whatever is not on the allow-list or reaches outside."""
    for tag in BeautifulSoup(html, "html.parser").find_all(True):
        # The parser of this test writes the names of SVG in lower case.
        known = {name.lower(): name for name in TAGS}
        if tag.name not in known:
            yield tag.name
            continue
        allowed = {a.lower() for a in ATTRIBUTES["*"] | ATTRIBUTES.get(known[tag.name], set())}
        for attribute, value in tag.attrs.items():
            value = " ".join(value) if isinstance(value, list) else value
            local = attribute.removeprefix("xlink:")
            if local not in allowed | {"rel"}:
                yield f"{tag.name} {attribute}"
            if local == "src" and not value.startswith("data:image/"):
                yield value
            if local == "href" and not re.match(r"#|https?://|mailto:|data:image/", value):
                yield value
            if local == "href" and tag.name != "a" and not re.match("#n--|data:image/", value):
                yield value
            if local not in ("alt", "title", "src", "href") and re.search(
                r"url\((?![\"']?#n--)|expression|fixed|\\|@", value
            ):
                yield f"{attribute}={value}"
            if local == "id" and not value.startswith("n--"):
                yield value


@pytest.mark.parametrize("html", HOSTILE)
def test_hostile_html_is_removed(html):
    for fragment in (html, f"<p>a{html}b</p>", f"<table><tr><td>{html}", f"<svg>{html}</svg>"):
        clean = sanitised(fragment, "n")
        assert list(dangers(clean)) == []
        assert "alert(1)</script" not in clean
        assert sanitised(clean, "n").count("<") == clean.count("<")
        assert not set(re.findall(r"<(\w+)", sanitised_inline(fragment))) - INLINE_TAGS


@given(st.lists(st.sampled_from([piece for h in HOSTILE for piece in re.split(r"(?=[<>])", h)])))
def test_hostile_pieces_are_removed(pieces):
    assert list(dangers(sanitised("".join(pieces), "n"))) == []


def test_tables_prose_and_pictures_are_kept():
    html = (
        '<h2 id="n--x">a</h2><p>b <code>c</code> <b>d</b> <em>e</em></p><pre>f</pre>'
        '<table border="1" class="dataframe"><thead><tr style="text-align:right">'
        '<th colspan="2" scope="col">g</th></tr></thead><tbody><tr><td rowspan="2">1</td></tr>'
        f'</tbody></table><ol start="2"><li>h</li></ol><img src="{PIXEL}" alt="i">'
        '<details open=""><summary>j</summary></details>'
        '<span style="color:rgb(1, 2, 3);background-color:red">k</span>'
    )
    assert sanitised(html.replace("n--", ""), "n") == html


def test_formulae_are_kept():
    html = (
        '<math display="block"><mrow><msub><mi mathvariant="bold">x</mi><mn>1</mn></msub>'
        '<mo stretchy="false">=</mo><mfrac><mi>a</mi><mi>b</mi></mfrac></mrow></math>'
    )
    assert sanitised(html, "n") == sanitised_inline(html) == html


def test_svg_keeps_references_to_its_own_ids():
    html = (
        '<svg viewBox="0 0 2 2" width="2"><defs><clipPath id="c"><rect x="0"></rect></clipPath>'
        '<linearGradient id="g" gradientUnits="userSpaceOnUse"><stop offset="0"></stop>'
        '</linearGradient></defs><g clip-path="url(#c)" fill="url(#g)"><path d="M0 0"></path>'
        f'<use xlink:href="#c"></use><image href="{PIXEL}"></image></g></svg>'
    )
    expected = html.replace('id="', 'id="n--').replace("#", "#n--")
    assert sanitised(html, "n") == expected
    styled = """<svg><path style="fill: URL( '#g' ); stroke-width: 2"></path></svg>"""
    style = BeautifulSoup(sanitised(styled, "n"), "html.parser").path["style"]
    assert style == 'fill:url("#n--g");stroke-width:2'


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("#Part", "#n--Part"),
        ("https://doi.org/1", "https://doi.org/1"),
        ("mailto:a@b.org", "mailto:a@b.org"),
        ("02_b.ipynb", "#02_b"),
        ("../x/02_b.ipynb#Part", "#02_b--Part"),
        ("b%20c.ipynb", "#b c"),
        ("https://a.org/02_b.ipynb", "https://a.org/02_b.ipynb"),
        ("03_c.ipynb", None),
        ("../README.md", None),
        ("javascript:alert(1)", None),
    ],
)
def test_links_lead_into_the_report_or_to_the_web(address, expected):
    clean = sanitised(f'<a href="{address}">a</a>', "n", ["02_b", "b c"])
    assert BeautifulSoup(clean, "html.parser").a.get("href") == expected

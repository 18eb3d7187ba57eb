"""The report as a page: its sections and figures, and names with markup in them."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from sklearn.metrics import roc_auc_score

from hcat_core.layout import Layout, Modality
from hcat_core.report import performance_figures
from hcat_core.report.page import render, write_report

HOSTILE = '<script>alert("x")</script>$x^2_{&"'
NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "]]></svg><script>alert(1)</script>",
    "</style><style>@import url(//x.example/a)",
    "</pre><iframe src=//x.example>",
    "<!-- --!><a href=javascript:alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    r"$\frac{1}{0}$ $x_{$ \$",
    "&lt;b&gt; &#60;b&#62;",
    "url(https://x.example/a)",
    "<svg/onload=alert(1)>",
]
FETCHING = {"src", "href", "xlink:href", "data", "srcset", "action", "formaction", "poster", "background"}


class Page(HTMLParser):
    """The page as a browser parses it: tags, texts, attributes and the targets of links."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.targets, self.attributes, self.inside = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.targets += [v for k, v in attrs if k in FETCHING]
        self.attributes += [(tag, k, v or "") for k, v in attrs]

    def handle_data(self, data):
        self.texts.append(data)
        self.inside.append((self.tags[-1] if self.tags else "", data))


def test_the_report_has_every_figure_and_section_and_loads_nothing(tmp_path, analysed):
    write_report(tmp_path / "report.html", analysed())
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    # AUCs, presence, patterns, two of training; five by task; two of importance.
    assert page.tags.count("svg") == 5 + 2 * 5 + 2
    assert "script" not in page.tags and "link" not in page.tags and "img" not in page.tags
    assert all(target.startswith("#") for target in page.targets)
    assert "url(http" not in text and "@import" not in text and "@font-face" not in text
    assert len(text.encode()) < 5e6
    ids = re.findall(r'\bid="([^"]+)"', text)
    used = re.findall(r'(?:url\(#|href="#)([^)"]+)', text)
    assert set(used) <= set(ids)
    for words in ("better than the best simple model", "nothing but zeros", "0.410", "TRIPOD+AI"):
        assert words in text
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_the_report_has_no_patient_ids(cohort, analysed):
    ids = tuple(f"canary{row}x" for row in range(len(cohort)))
    assert "canary" not in render(replace(analysed(), cohort=replace(cohort, patient_ids=ids)))


def test_names_with_markup_appear_as_text(cohort, inputs):
    first, *rest = cohort.layout.modalities
    layout = Layout((Modality(HOSTILE, first.width), *rest), cohort.layout.tasks)
    made = replace(inputs(replace(cohort, layout=layout), title=HOSTILE), recipe=HOSTILE)
    text = render(made)
    page = Page(text)
    assert "script" not in page.tags
    assert "".join(page.texts).count(HOSTILE) >= 3
    assert "$x^2" in "".join(page.texts)


@pytest.fixture
def named(cohort, analysed, changed):
    """A function that makes a run of any names."""

    def make(names):
        return _named(names, cohort, analysed, changed)

    return make


def _named(names, cohort, analysed, changed):
    """The analysed run with three names for its modalities, two of them for its tasks, all elsewhere."""
    modalities = [replace(m, name=n) for m, n in zip(cohort.layout.modalities, names, strict=True)]
    survival, recurrence = cohort.layout.tasks
    first = replace(survival, name=names[0], outcome=names[0])
    second = replace(recurrence, name=names[1], outcome=names[1], competing=names[0])
    layout = Layout(tuple(modalities), (first, second))
    every = " ".join(names)
    made = analysed(replace(cohort, layout=layout), title=every)
    made = replace(made, recipe=f"{every}\nseed = 1\n")
    findings = [f"{name}: nothing but zeros" for name in names]
    baseline = made.summary.analysis.baselines["logistic"]
    plugins = [{"entry_point": name, "distribution": name, "version": name} for name in names]
    return changed(
        made,
        analysis=replace(
            made.summary.analysis,
            findings=findings,
            allowed=names,
            leaks=replace(made.summary.analysis.leaks, allowed=3),
            baselines=dict.fromkeys(names, baseline),
        ),
        environment={
            **made.summary.environment,
            "plugins": plugins,
            "libraries": dict.fromkeys(names, every),
        },
    )


def without_figures(text):
    return re.sub(r"<svg.*?</svg>", "", text, flags=re.S)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(performance_figures, "RESAMPLES", 3)


def test_hostile_names_change_no_tag_and_no_attribute_and_load_nothing(quick, named):
    # Longer names leave axes room for fewer ticks, so figures have the same kinds of tags, not as many.
    plain_text = render(named(["xxx", "yyy", "zzz"]))
    plain, around = Page(plain_text), Page(without_figures(plain_text))
    for start in range(0, len(NASTY), 3):
        names = NASTY[start : start + 3]
        rendered = render(named(names))
        page, outside = Page(rendered), Page(without_figures(rendered))
        assert outside.tags == around.tags, names
        assert [a[:2] for a in outside.attributes] == [a[:2] for a in around.attributes], names
        assert page.tags.count("svg") == plain.tags.count("svg") and set(page.tags) == set(plain.tags)
        assert {a[:2] for a in page.attributes} == {a[:2] for a in plain.attributes}, names
        text = "".join(page.texts)
        # title and heading, recipe, cohort, outcomes, findings, allowed features, baselines, environment
        assert all(text.count(name) >= 10 for name in names)
        assert all(target.startswith("#") for target in page.targets)
        for tag, key, value in page.attributes:
            if key not in ("aria-label", "data-heading", "xmlns", "xmlns:xlink"):
                assert "//" not in value, (tag, key, value)
                assert all(rest.startswith("#") for rest in value.split("url(")[1:]), (tag, key, value)
        styles = [text for tag, text in page.inside if tag == "style"]
        assert styles and not any("url(" in style or "@import" in style for style in styles)
        assert ("meta", "content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_marks_of_direction_and_control_characters_are_spelled_out(quick, named):
    text = render(named(["a\u202eb", "c\x1b[31md", "e\x00f"]))
    assert not any(mark in text for mark in ("\u202e", "\x1b", "\x00"))
    shown = "".join(Page(text).texts)
    assert all(shown.count(name) >= 10 for name in (r"a\u202eb", r"c\x1b[31md", r"e\x00f"))


def test_the_same_run_gives_the_same_page(analysed):
    assert render(analysed()) == render(analysed())


def test_the_summary_gives_the_auc_and_counts_of_the_test_patients(inputs):
    made = inputs()
    known = made.known_test_outcomes(0)
    text = render(made)
    auc = roc_auc_score(known.label, known.probability, sample_weight=known.weights)
    assert f"AUC is {auc:.2f}" in text
    events = known.label.sum()
    assert f"{len(known.label)} test patients with a known outcome, {events} of them with the event" in text


def of_tasks(cohort, columns):
    """The same patients with the tasks of some columns, each under a name of its own."""
    tasks = tuple(replace(cohort.layout.tasks[c], name=f"task{n}") for n, c in enumerate(columns))
    targets = cohort.targets
    picked = {name: getattr(targets, name)[:, columns] for name in ("labels", "time", "event")}
    return replace(cohort, layout=replace(cohort.layout, tasks=tasks), targets=replace(targets, **picked))


def of_one_modality(cohort):
    layout = Layout(cohort.layout.modalities[1:2], cohort.layout.tasks)
    names = ("emb", "measured", "present", "quality", "n_rows")
    return replace(cohort, layout=layout, **{name: getattr(cohort, name)[:, 1:2] for name in names})


BLANK = re.compile(r"\bnan\b|\bNone\b(?! of)|\(\)| \.|\w\.\.(?!\.)")


def sentences(page):
    """The text of a page without its figures and its style."""
    return "".join(text for tag, text in Page(without_figures(page)).inside if tag != "style")


@pytest.mark.parametrize("kind", ["untimed", "few_events", "grouped", "competing"])
def test_every_kind_of_run_has_a_page_without_blanks(analysed, undrawn, request, kind):
    text = sentences(render(analysed(request.getfixturevalue(kind))))
    assert not BLANK.search(text), BLANK.search(text)


@pytest.mark.parametrize(
    "shape",
    [
        lambda cohort: of_tasks(cohort, [0]),
        lambda cohort: of_tasks(cohort, [0, 1, 1]),
        of_one_modality,
    ],
    ids=["one task", "three tasks", "one modality"],
)
def test_every_shape_of_cohort_has_a_page_without_blanks(analysed, undrawn, cohort, shape):
    text = sentences(render(analysed(shape(cohort))))
    assert not BLANK.search(text), BLANK.search(text)


def test_a_run_without_resamples_has_a_page_without_blanks(analysed, undrawn):
    text = sentences(render(analysed(recipe={"evaluation": {"bootstrap": 0, "baselines": ["logistic"]}})))
    assert not BLANK.search(text), BLANK.search(text)
    assert "bootstrap samples" not in text and "95 % intervals from" not in text


def test_contributions_and_imputation_scores_come_with_their_intervals(analysed, undrawn):
    made = analysed()
    page, found = render(made), made.summary.analysis.modalities
    for value, (low, high) in (
        (found.shapley["survival"]["clinical"], found.shapley_95["survival"]["clinical"]),
        (found.leave_one_out["survival"]["clinical"], found.leave_one_out_95["survival"]["clinical"]),
    ):
        assert f'{value:.3f} <span class="soft">({low:.3f} to {high:.3f})' in page
    assert '0.410 <span class="soft">(0.33 to 0.48)' in page
    assert '90 % <span class="soft">(86 to 94 %)' in page


def test_the_curves_over_time_are_of_aalen_and_johansen_where_an_event_competes(inputs, competing):
    assert "Aalen-Johansen" in render(inputs(competing))
    assert "Aalen-Johansen" not in render(inputs())


def test_the_fall_of_an_auc_of_few_patients_is_not_drawn(analysed, few_events):
    def bars(made):
        return re.search(r'aria-label="Loss when it is hidden".*?</svg>', render(made), flags=re.S)[0]

    assert "survival" in bars(analysed()) and "survival" not in bars(analysed(few_events))

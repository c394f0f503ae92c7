"""Where things stand on the page, and how stars look: style sheets, as text."""

from slamlib.style import BLUE, RED

# The side and the spectrum stand beside each other where there is room, else below.
PAGE = f"""<style>
.slam-page, .slam-page .widget-box, .slam-page .widget-html {{ overflow: visible; }}
.slam-page .widget-html-content {{ line-height: 1.45; }}
.slam-page .slam-spectrum-box {{ overflow-x: auto; }}
.slam-page svg {{ display: block; width: 100%; height: auto; background: white; }}
.slam-page svg.slam-spectrum {{ min-width: 600px; }}
@media (max-width: 600px) {{ #rendered_cells h1 {{ display: none; }} }}
.slam-page .slam-warning p {{ margin: 0; padding: 4px 10px; border-left: 4px solid {RED}; background: #FDECE8;
    color: #7A1E0B; }}
.slam-page .slam-window .widget-readout {{ min-width: 95px; }}
.slam-page .slam-message p {{ margin: 0; color: #7A1E0B; }}
.slam-page .slam-hr-box {{ position: relative; margin: 0; width: 100%; }}
.slam-page .slam-hr-box > .widget-html {{ width: 100%; margin: 0; }}
.slam-page .slam-hr-box > .widget-html > .widget-html-content {{ width: 100%; }}
.slam-page .slam-stars {{ position: absolute; inset: 0; width: auto; height: auto; margin: 0;
    overflow: visible; pointer-events: none; }}
.slam-page .slam-stars .widget-toggle-button {{ position: absolute; width: 7px; min-width: 0; height: 7px;
    margin: -3.5px 0 0 -3.5px; padding: 0; border: 0; border-radius: 50%; background: {BLUE}; opacity: 0.75;
    font-size: 0; line-height: 0; box-shadow: none; overflow: hidden; pointer-events: auto;
    cursor: pointer; }}
.slam-page .slam-stars .widget-toggle-button:hover, .slam-page .slam-stars .widget-toggle-button:focus {{
    outline: 2px solid black; opacity: 1; }}
.slam-page .slam-stars .widget-toggle-button.mod-active {{ background: {RED}; opacity: 1;
    outline: 2px solid black; z-index: 1; }}
</style>"""


def star_places(x, y, inside):
    """Return a style sheet that puts the buttons of stars onto the HR diagram.

    One widget holds a button for each star, in order; where each stands is said here, since
    ipywidgets knows no place but the next.

    Parameters
    ----------
    x, y : ndarray, (n,)
        Fractions of the diagram's width and height.
    inside : ndarray of bool, (n,)
        The others, outside the grid, are drawn pale.
    """
    rules = "".join(
        f'.slam-page .slam-stars button[value="{i}"]{{left:{100 * left:.2f}%;top:{100 * top:.2f}%'
        f"{'' if within else ';background:#888'}}}\n"
        for i, (left, top, within) in enumerate(zip(x, y, inside, strict=True))
    )
    return f"<style>\n{rules}</style>"

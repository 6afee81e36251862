"use strict";

// What scrolls sideways is reached by Tab and scrolled with the arrow keys. The theme does that for
// code alone, and only where there is a mouse.

function reach() {
  for (const part of document.querySelectorAll(".md-typeset__scrollwrap, .figure, .md-typeset pre > code")) {
    if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
    else part.removeAttribute("tabindex");
  }
}

addEventListener("load", () => {
  reach();
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
});
addEventListener("resize", reach);

// SPDX-License-Identifier: Apache-2.0
// Puts the page's new content in place without losing where its reader is. The
// page works as well without it.
"use strict";
(() => {
  const seconds = Number(document.currentScript.dataset.seconds);
  const busy = () => document.hidden || ["INPUT", "SELECT"].includes(document.activeElement.tagName) || !document.getSelection().isCollapsed;
  const path = (node) => {
    const steps = [];
    for (; node && node !== document.body; node = node.parentElement) {
      steps.unshift([...node.parentElement.children].indexOf(node));
    }
    return steps;
  };
  const refresh = async () => {
    if (busy()) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok || busy()) return;
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const steps = path(document.activeElement);
      for (const part of ["main", "footer"]) {
        document.querySelector(part).replaceWith(document.adoptNode(next.querySelector(part)));
      }
      document.title = next.title;
      let node = document.body;
      for (const step of steps) node = node && node.children[step];
      if (steps.length > 0 && node) node.focus({ preventScroll: true });
    } catch {
      document.title = "(no answer) podgate";
    }
  };
  setInterval(refresh, seconds * 1000);
})();

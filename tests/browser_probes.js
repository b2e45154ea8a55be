/* What a picture of the page does not show: each function lists the elements that break its rule. */
() => {
  const seen = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !e.closest(".sr-only, .visually-hidden, .lunaris-skip");
  const short = (e) => e.outerHTML.replace(/\s+/g, " ").slice(0, 160);
  const controls = (selector) => [...document.querySelectorAll(selector)].filter(seen);

  /* Controls and pictures without a name for a screen reader. */
  const unnamed = () =>
    controls("button, a[href], input:not([type=hidden], [type=file]), textarea, select, img").filter((e) =>
      ![e.innerText, e.getAttribute("aria-label"), e.alt, e.querySelector("img")?.alt, ...[...(e.labels ?? [])].map((label) => label.innerText)]
        .some((name) => name?.trim()) && !e.closest("[aria-hidden=true]")).map(short);

  /* Controls under 40 pixels in height or width; what belongs to the label of a checkbox or a choice, or a slider's row counts as its target. */
  const small = () =>
    controls("button, a[href], input:not([type=file]), textarea, select").filter((e) => !e.closest(".lunaris-prose")).filter((e) => {
      const target = ["checkbox", "radio"].includes(e.type) ? e.closest("label") : e.type === "range" ? e.parentElement.parentElement : e;
      const { width, height } = target.getBoundingClientRect();
      return width && (width < 40 || height < 40);
    }).map(short);

  /* Text under 4.5:1 against the colour behind it (WCAG 2.2); on gradients and pictures no single colour is behind it. */
  const numbers = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const style = getComputedStyle(e);
      if (style.backgroundImage !== "none") return null;
      const colour = numbers(style.backgroundColor);
      if (colour.length === 3 || colour[3] > 0.99) return colour;
    }
    return numbers(getComputedStyle(document.body).backgroundColor);
  };
  const faint = () => {
    const found = [];
    const walk = document.createTreeWalker(document.querySelector("gradio-app"), NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      const e = node.parentElement;
      if (!node.data.trim() || e.closest("style, pre") || !seen(e)) continue;
      const ground = behind(e);
      if (!ground) continue;
      const [light, dark] = [numbers(getComputedStyle(e).color).slice(0, 3), ground.slice(0, 3)].map(luminance).sort((a, b) => b - a);
      const contrast = (light + 0.05) / (dark + 0.05);
      if (contrast < 4.5) found.push(`${contrast.toFixed(2)} ${node.data.trim().slice(0, 40)} ${short(e).slice(0, 80)}`);
    }
    return found;
  };

  const root = document.documentElement;
  return { overflow: root.scrollWidth - root.clientWidth, unnamed: unnamed(), small: small(), faint: faint() };
}

// Runs in the browser: measures the page as it is laid out and painted. The value of the last expression is what the
// test gets.
(() => {
  const frame = document.querySelector('#frame');
  const page = frame.querySelector('.em-page');
  for (const details of page.querySelectorAll('details')) details.open = true;
  const bounds = page.getBoundingClientRect();

  const visible = (element) => element.checkVisibility() && element.getBoundingClientRect().width > 0;
  const nameOf = (element) => `${element.tagName.toLowerCase()}.${element.getAttribute('class') ?? ''}`;

  const outside = [...page.querySelectorAll('*')]
    .filter(visible)
    .filter((element) => {
      const box = element.getBoundingClientRect();
      const around = element.ownerSVGElement?.getBoundingClientRect() ?? bounds;
      const isCut = element.ownerSVGElement && (box.top < around.top - 1 || box.bottom > around.bottom + 1);
      return box.left < around.left - 1 || box.right > around.right + 1 || isCut;
    })
    .map((element) => `${nameOf(element)}: ${element.textContent.trim().slice(0, 40)}`);

  const texts = [];
  const walker = document.createTreeWalker(page, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.data.trim() || parent.tagName === 'STYLE' || !visible(parent)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = parent.ownerSVGElement ? [parent.getBoundingClientRect()] : [...range.getClientRects()];
    const style = getComputedStyle(parent);
    texts.push({
      text: node.data.trim().slice(0, 40),
      boxes,
      color: parent.ownerSVGElement ? style.fill : style.color,
      background: backgroundOf(parent),
      opacity: opacityOf(parent),
    });
  }

  const overlapping = [];
  for (const [index, first] of texts.entries()) {
    for (const second of texts.slice(index + 1)) {
      const overlap = first.boxes.some((a) =>
        second.boxes.some(
          (b) =>
            Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
            Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2,
        ),
      );
      if (overlap) overlapping.push(`${first.text} | ${second.text}`);
    }
  }

  return {
    overflow: frame.scrollWidth - frame.clientWidth,
    outside,
    overlapping,
    texts: texts.map(({ text, color, background, opacity }) => ({ text, color, background, opacity })),
    drawn: [...page.querySelectorAll('svg text')].filter(visible).flatMap((element) =>
      (element.children.length === 0 ? [element] : [...element.children]).map((each) => ({
        text: each.textContent,
        width: each.getComputedTextLength(),
      })),
    ),
    actions: [...page.querySelectorAll('cwdb-action')].map((action) => ({
      button: action.previousElementSibling?.textContent,
      command: JSON.parse(action.textContent),
      isHidden: !action.checkVisibility(),
    })),
  };

  function backgroundOf(element) {
    for (let each = element; each; each = each.parentElement) {
      const color = getComputedStyle(each).backgroundColor;
      if (color !== 'rgba(0, 0, 0, 0)') return color;
    }
    return 'rgb(255, 255, 255)';
  }

  function opacityOf(element) {
    let opacity = 1;
    for (let each = element; each; each = each.parentElement) opacity *= Number(getComputedStyle(each).opacity);
    return opacity;
  }
})();

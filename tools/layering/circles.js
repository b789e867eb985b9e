// Circles in a graph: sets of nodes each of which leads to all others.
"use strict";

/** The circles among the nodes of `arrows`, a map from each node to a map whose keys are those it points at (Tarjan). */
function circlesIn(arrows) {
  const order = new Map();
  const lowest = new Map();
  const open = [];
  const circles = [];
  const visit = (node) => {
    order.set(node, order.size);
    lowest.set(node, order.get(node));
    open.push(node);
    for (const target of arrows.get(node).keys()) {
      if (!order.has(target)) visit(target);
      if (open.includes(target)) lowest.set(node, Math.min(lowest.get(node), lowest.get(target)));
    }
    if (lowest.get(node) !== order.get(node)) return;
    const circle = open.splice(open.indexOf(node));
    if (circle.length > 1) circles.push(circle);
  };
  for (const node of arrows.keys()) if (!order.has(node)) visit(node);
  return circles;
}

/** The same arrows between the folders inside the module `parent`, each with all that it holds. */
function betweenChildren(arrows, parent) {
  const prefix = parent === "" ? "" : `${parent}::`;
  const child = (module) => (module !== "" && module.startsWith(prefix) ? prefix + module.slice(prefix.length).split("::")[0] : undefined);
  const between = new Map();
  for (const [module, targets] of arrows) {
    const from = child(module);
    if (from === undefined) continue;
    if (!between.has(from)) between.set(from, new Map());
    for (const [target, by] of targets) {
      const to = child(target);
      if (to !== undefined && to !== from) between.get(from).set(to, `${module} names ${by}`);
    }
  }
  return between;
}

module.exports = { circlesIn, betweenChildren };

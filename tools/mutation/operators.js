// What is changed, one change at a time, to see whether a test notices: every place in a contract's syntax tree where an operator applies.
"use strict";

const BOUNDARY = { "<": ["<="], "<=": ["<"], ">": [">="], ">=": [">"] };
const OPPOSITE = { "<": [">="], "<=": [">"], ">": ["<="], ">=": ["<"], "==": ["!="], "!=": ["=="] };
const BINARY = {
  "&&": ["||"],
  "||": ["&&"],
  "+": ["-"],
  "-": ["+"],
  "*": ["/"],
  "/": ["*"],
  "%": ["*"],
  "&": ["|"],
  "|": ["&"],
  "^": ["&"],
  "<<": [">>"],
  ">>": ["<<"],
};
const ASSIGNMENT = { "+=": ["-=", "="], "-=": ["+=", "="], "|=": ["&=", "="], "&=": ["|=", "="] };
const STEP = { "++": "--", "--": "++" };

/** One number kind is as good as another here: the compiler refuses what does not fit. */
function kind(node) {
  const type = node.typeDescriptions?.typeString ?? "";
  return type.startsWith("uint") || type.startsWith("int_const") ? "number" : type;
}

/** What is made true and made false as a whole need not be made its opposite too. */
const isCondition = (node, parent) => parent.condition === node;

/**
 * @param {Buffer} source the file
 * @param {object} ast its syntax tree, as the compiler prints it; offsets are bytes
 * @param {Map<number, string>} nextOf each enum value's successor's name, by the value's id in the trees
 * @returns {{operator: string, within: string, start: number, end: number, replacement: string}[]}
 */
function mutationsOf(source, ast, nextOf) {
  const found = [];
  const seen = new Set();

  const span = (node) => {
    const [start, length] = node.src.split(":").map(Number);
    return { start, end: start + length };
  };
  const text = (node) => source.subarray(span(node).start, span(node).end).toString("utf8");

  function add(operator, within, { start, end }, replacement) {
    const key = `${start}:${end}:${replacement}`;
    if (seen.has(key) || source.subarray(start, end).toString("utf8") === replacement) return;
    seen.add(key);
    found.push({ operator, within, start, end, replacement });
  }

  /** The operator itself, between its two sides; a side's parentheses lie there too. */
  function addInfix(name, within, left, right, operator, replacements) {
    const start = span(left).end;
    const between = source.subarray(start, span(right).start).toString("utf8");
    const at = start + Buffer.byteLength(between.slice(0, between.indexOf(operator)));
    for (const replacement of replacements) add(name, within, { start: at, end: at + operator.length }, replacement);
  }

  /** Up to and with the semicolon; an empty block stands wherever a statement can. */
  function addDeletion(name, within, node) {
    const { start, end } = span(node);
    const semicolon = source.indexOf(";", end);
    add(name, within, { start, end: semicolon + 1 }, "{ }");
  }

  function addCondition(within, node) {
    add("condition", within, span(node), "true");
    add("condition", within, span(node), "false");
  }

  function addExchanges(within, nodes) {
    for (let i = 0; i + 1 < nodes.length; i += 1) {
      const [a, b] = [nodes[i], nodes[i + 1]];
      if (kind(a) === "" || kind(a) !== kind(b) || text(a) === text(b)) continue;
      const between = source.subarray(span(a).end, span(b).start).toString("utf8");
      add("exchange arguments", within, { start: span(a).start, end: span(b).end }, text(b) + between + text(a));
    }
  }

  /** Each argument that a hash binds, left out. */
  function addOmissions(within, nodes) {
    if (nodes.length < 2) return;
    nodes.forEach((node, i) => {
      const range = i === 0 ? { start: span(node).start, end: span(nodes[1]).start } : { start: span(nodes[i - 1]).end, end: span(node).end };
      add("leave out argument", within, range, "");
    });
  }

  const operators = {
    BinaryOperation(node, within, parent) {
      const { leftExpression: left, rightExpression: right, operator } = node;
      addInfix("operator", within, left, right, operator, BINARY[operator] ?? BOUNDARY[operator] ?? []);
      if (!isCondition(node, parent)) addInfix("operator", within, left, right, operator, OPPOSITE[operator] ?? []);
      if (operator === "&&" || operator === "||") {
        // A chain leans to the left: each of its operands is dropped once.
        add("drop operand", within, span(node), text(left));
        if (left.operator !== operator) add("drop operand", within, span(node), text(right));
      }
    },
    UnaryOperation(node, within, parent) {
      if (STEP[node.operator]) add("operator", within, span(node), text(node).replace(node.operator, STEP[node.operator]));
      if (node.operator === "~") add("operator", within, span(node), text(node.subExpression));
      if (node.operator === "!" && !isCondition(node, parent)) add("operator", within, span(node), text(node.subExpression));
    },
    Assignment(node, within) {
      addInfix("operator", within, node.leftHandSide, node.rightHandSide, node.operator, ASSIGNMENT[node.operator] ?? []);
    },
    Literal(node, within, parent) {
      if (node.kind === "bool") add("constant", within, span(node), node.value === "true" ? "false" : "true");
      if (node.kind === "string" && node.value !== "") add("constant", within, span(node), `"${node.value}?"`);
      // One more than no address is an address that nobody has.
      if (node.kind !== "number" || parent.kind === "typeConversion") return;
      const unit = node.subdenomination ? ` ${node.subdenomination}` : "";
      const value = BigInt(node.value.replaceAll("_", ""));
      add("constant", within, span(node), `${value + 1n}${unit}`);
      if (value > 0n) add("constant", within, span(node), `${value - 1n}${unit}`);
    },
    MemberAccess(node, within) {
      if (node.memberName === "max" && text(node).startsWith("type(uint")) add("constant", within, span(node), `(${text(node)} - 1)`);
      if (text(node) === "block.chainid") add("constant", within, span(node), "1");
      if (text(node) === "msg.sender") add("caller", within, span(node), "_msgSender()");
      const next = nextOf.get(node.referencedDeclaration);
      if (next) add("enum", within, span(node), `${text(node.expression)}.${next}`);
    },
    FunctionCall(node, within) {
      if (text(node) === "_msgSender()") add("caller", within, span(node), "msg.sender");
      if (text(node) === "address(this)") add("constant", within, span(node), "address(0)");
      addExchanges(within, node.arguments);
      if (/^abi\.encode/.test(text(node.expression)) && text(node.expression) !== "abi.encodeCall") addOmissions(within, node.arguments);
    },
    IfStatement(node, within) {
      addCondition(within, node.condition);
    },
    Conditional(node, within) {
      addCondition(within, node.condition);
    },
    ModifierInvocation(node, within) {
      if (node.kind === "modifierInvocation") add("remove modifier", within, span(node), "");
    },
    ExpressionStatement(node, within) {
      addDeletion("delete statement", within, node);
    },
    EmitStatement(node, within) {
      addDeletion("delete emit", within, node);
    },
    Return(node, within, parent) {
      // Guarded by an `if` alone, its condition made false says the same.
      if (parent.nodeType !== "IfStatement") addDeletion("delete return", within, node);
    },
  };

  function visit(node, within, parent) {
    if (node === null || typeof node !== "object") return;
    if (node.nodeType === undefined) {
      Object.values(node).forEach((child) => visit(child, within, parent));
      return;
    }
    if (node.nodeType === "FunctionDefinition") within = node.name || node.kind;
    if (node.nodeType === "ModifierDefinition") within = node.name;
    if (node.nodeType === "VariableDeclaration" && within === "") within = node.name;
    operators[node.nodeType]?.(node, within, parent);
    for (const [key, child] of Object.entries(node)) {
      // Types, documentation and imports say nothing that runs.
      if (!["typeDescriptions", "documentation", "typeName", "baseContracts", "overrides"].includes(key)) visit(child, within, node);
    }
  }

  visit(ast.nodes, "", ast);
  return found.sort((a, b) => a.start - b.start || a.end - b.end);
}

/** For each value of each enum, by its id, the name of the one after it. */
function enumSuccessors(asts) {
  const nextOf = new Map();
  const visit = (node) => {
    if (node === null || typeof node !== "object") return;
    if (node.nodeType === "EnumDefinition") {
      node.members.forEach((member, i) => nextOf.set(member.id, node.members[(i + 1) % node.members.length].name));
    }
    Object.values(node).forEach(visit);
  };
  asts.forEach(visit);
  return nextOf;
}

module.exports = { enumSuccessors, mutationsOf };

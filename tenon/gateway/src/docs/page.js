// Shows /openapi.json: operations by tag, their parameters, schemas and a curl line each.
// Everything of the document is set as text, never as markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];
// How deep a schema is opened; deeper and recursive ones are named only.
const DEPTH = 6;

let whole = {};

/** An element with attributes and children; strings become text. */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

/** What a `$ref` of this document points to; `seen` are the names on the way. */
function resolve(value) {
  let name = null;
  for (let hops = 0; value && value.$ref && hops < 20; hops += 1) {
    const path = value.$ref.replace(/^#\//, "").split("/");
    name = path[path.length - 1];
    value = path.reduce(
      (at, key) => at?.[decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~")],
      whole,
    );
  }
  return { value: value ?? {}, name };
}

/** The type of a schema in a few words. */
function typeOf(schema) {
  const { value, name } = resolve(schema);
  if (name) return name;
  if (value.type === "array" || value.items) return `list of ${typeOf(value.items ?? {})}`;
  if (value.enum) return value.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (value.const !== undefined) return JSON.stringify(value.const);
  for (const [word, key] of [[" | ", "oneOf"], [" | ", "anyOf"], [" & ", "allOf"]]) {
    if (value[key]) return value[key].map(typeOf).join(word);
  }
  const type = Array.isArray(value.type) ? value.type.join(" | ") : value.type;
  if (type === "object" && value.additionalProperties instanceof Object) {
    return `map to ${typeOf(value.additionalProperties)}`;
  }
  return [type ?? "any", value.format].filter(Boolean).join(", ");
}

/** The rules of a schema beyond its type. */
function rulesOf(schema) {
  const { value } = resolve(schema);
  const words = {
    minimum: "at least",
    exclusiveMinimum: "above",
    maximum: "at most",
    exclusiveMaximum: "below",
    minLength: "shortest",
    maxLength: "longest",
    minItems: "fewest",
    maxItems: "most",
    pattern: "pattern",
    default: "default",
  };
  return Object.entries(words)
    .filter(([key]) => value[key] !== undefined)
    .map(([key, word]) => `${word} ${JSON.stringify(value[key])}`)
    .join(", ");
}

/** All properties of a schema, those of its parts included. */
function propertiesOf(value) {
  const properties = { ...(value.properties ?? {}) };
  const required = new Set(value.required ?? []);
  for (const part of value.allOf ?? []) {
    const inner = propertiesOf(resolve(part).value);
    Object.assign(properties, inner.properties);
    inner.required.forEach((name) => required.add(name));
  }
  return { properties, required };
}

/** The fields below a schema, as a list in a list. */
function fieldsOf(schema, seen = []) {
  const { value, name } = resolve(schema);
  if (seen.length > DEPTH || (name && seen.includes(name))) return null;
  const below = [...seen, name ?? ""];
  if (value.items) return fieldsOf(value.items, below);
  const choices = value.oneOf ?? value.anyOf;
  if (choices) {
    const lists = choices.map((choice) => [
      element("li", {}, element("span", { class: "type" }, typeOf(choice)), fieldsOf(choice, below) ?? ""),
    ]);
    return element("ul", { class: "schema" }, lists.flat());
  }
  if (value.additionalProperties instanceof Object) return fieldsOf(value.additionalProperties, below);
  const { properties, required } = propertiesOf(value);
  const rows = Object.entries(properties).map(([key, field]) => {
    const rules = rulesOf(field);
    return element(
      "li",
      {},
      element("code", {}, key),
      " ",
      element("span", { class: "type" }, typeOf(field)),
      required.has(key) ? element("span", { class: "required" }, " required") : null,
      rules ? element("span", { class: "note" }, ` · ${rules}`) : null,
      field.description ? element("span", { class: "note" }, ` · ${field.description}`) : null,
      fieldsOf(field, below),
    );
  });
  return rows.length ? element("ul", { class: "schema" }, rows) : null;
}

/** A value that fits a schema, for the curl line. */
function exampleOf(schema, seen = []) {
  const { value, name } = resolve(schema);
  if (value.example !== undefined) return value.example;
  if (value.examples?.length) return value.examples[0];
  if (value.default !== undefined) return value.default;
  if (value.const !== undefined) return value.const;
  if (value.enum) return value.enum[0];
  if (seen.length > DEPTH || (name && seen.includes(name))) return {};
  const below = [...seen, name ?? ""];
  const choices = value.oneOf ?? value.anyOf;
  if (choices?.length) return exampleOf(choices[0], below);
  const type = Array.isArray(value.type) ? value.type.find((one) => one !== "null") : value.type;
  if (type === "array" || value.items) return value.items ? [exampleOf(value.items, below)] : [];
  if (type === "integer" || type === "number") return value.minimum ?? 0;
  if (type === "boolean") return false;
  if (type === "string") {
    const formats = { "date-time": "2026-01-31T08:00:00Z", date: "2026-01-31", uuid: "00000000-0000-7000-8000-000000000000" };
    return formats[value.format] ?? "text";
  }
  const { properties } = propertiesOf(value);
  return Object.fromEntries(Object.entries(properties).map(([key, field]) => [key, exampleOf(field, below)]));
}

/** Quotes for a POSIX shell. */
function quoted(text) {
  return `'${String(text).replaceAll("'", `'\\''`)}'`;
}

/** The parameters of an operation, those of its path included. */
function parametersOf(item, operation) {
  const all = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((one) => resolve(one).value);
  return all.filter((one, at) => !all.slice(at + 1).some((later) => later.name === one.name && later.in === one.in));
}

/** The body that an operation takes: its media type and schema. */
function bodyOf(operation) {
  const content = resolve(operation.requestBody ?? {}).value.content ?? {};
  const [type, media] = Object.entries(content)[0] ?? [];
  return type ? { type, schema: media.schema ?? {}, example: media.example } : null;
}

function needsToken(operation) {
  const security = operation.security ?? whole.security ?? [];
  return security.length > 0 && !security.some((one) => Object.keys(one).length === 0);
}

function curlOf(method, path, item, operation) {
  const parameters = parametersOf(item, operation);
  const example = (one) => one.example ?? exampleOf(one.schema ?? {});
  const filled = path.replace(/\{([^}]+)\}/g, (_, name) => {
    const parameter = parameters.find((one) => one.in === "path" && one.name === name);
    return encodeURIComponent(parameter ? example(parameter) : name);
  });
  const query = parameters
    .filter((one) => one.in === "query" && one.required)
    .map((one) => `${encodeURIComponent(one.name)}=${encodeURIComponent(example(one))}`)
    .join("&");
  const parts = [`curl -X ${method.toUpperCase()} ${quoted(location.origin + filled + (query ? `?${query}` : ""))}`];
  if (needsToken(operation)) parts.push(`-H "Authorization: Bearer $TOKEN"`);
  for (const one of parameters.filter((one) => one.in === "header" && one.required)) {
    parts.push(`-H ${quoted(`${one.name}: ${example(one)}`)}`);
  }
  const body = bodyOf(operation);
  if (body) {
    parts.push(`-H ${quoted(`Content-Type: ${body.type}`)}`);
    parts.push(`-d ${quoted(JSON.stringify(body.example ?? exampleOf(body.schema)))}`);
  }
  return parts.join(" \\\n  ");
}

function showParameters(parameters) {
  if (!parameters.length) return null;
  const rows = parameters.map((one) =>
    element(
      "tr",
      {},
      element("td", {}, element("code", {}, one.name), one.required ? element("span", { class: "required" }, " required") : null),
      element("td", {}, one.in),
      element("td", { class: "type" }, [typeOf(one.schema ?? {}), rulesOf(one.schema ?? {})].filter(Boolean).join(" · ")),
      element("td", {}, one.description ?? ""),
    ),
  );
  const head = ["name", "in", "type", ""].map((text) => element("th", { scope: "col" }, text));
  return [element("h4", {}, "Parameters"), element("table", {}, element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows))];
}

function showResponses(responses) {
  return Object.entries(responses ?? {}).map(([status, response]) => {
    const { value } = resolve(response);
    const [type, media] = Object.entries(value.content ?? {})[0] ?? [];
    const what = [value.description, type, media?.schema ? typeOf(media.schema) : null].filter(Boolean).join(" · ");
    return [
      element("p", {}, element("code", {}, status), " ", element("span", { class: "note" }, what)),
      media?.schema ? fieldsOf(media.schema) : null,
    ];
  });
}

function showCurl(line) {
  const button = element("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(line);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy by hand";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  return [element("h4", {}, "Try it"), element("div", { class: "curl" }, element("pre", {}, line), button)];
}

function showOperation(id, method, path, item, operation) {
  const body = bodyOf(operation);
  return element(
    "article",
    { id },
    element("h3", {}, element("span", { class: `method ${method}` }, method.toUpperCase()), element("code", {}, path)),
    operation.deprecated ? element("p", { class: "required" }, "Deprecated") : null,
    operation.summary ? element("p", {}, operation.summary) : null,
    operation.description ? element("p", { class: "note" }, operation.description) : null,
    element("p", { class: "note" }, needsToken(operation) ? "Needs a token." : "Open: no token needed."),
    showParameters(parametersOf(item, operation)),
    body
      ? [
          element("h4", {}, "Body"),
          element("p", { class: "note" }, `${body.type} · ${typeOf(body.schema)}`),
          fieldsOf(body.schema),
        ]
      : null,
    element("h4", {}, "Answers"),
    showResponses(operation.responses),
    showCurl(curlOf(method, path, item, operation)),
  );
}

/** All operations by their first tag. */
function operationsByTag() {
  const tags = new Map((whole.tags ?? []).map((tag) => [tag.name, []]));
  for (const [path, item] of Object.entries(whole.paths ?? {})) {
    for (const method of METHODS.filter((method) => item[method])) {
      const operation = item[method];
      const tag = operation.tags?.[0] ?? "operations";
      if (!tags.has(tag)) tags.set(tag, []);
      tags.get(tag).push({ id: `${method}:${path}`, method, path, item, operation });
    }
  }
  return [...tags].filter(([, operations]) => operations.length);
}

function filter(text) {
  const wanted = text.trim().toLowerCase();
  for (const shown of document.querySelectorAll("article, nav a")) {
    const id = shown.id || shown.dataset.of;
    const article = document.getElementById(id);
    shown.hidden = wanted !== "" && !article.textContent.toLowerCase().includes(wanted);
  }
}

async function show() {
  const state = document.getElementById("state");
  try {
    const response = await fetch("/openapi.json");
    if (!response.ok) throw new Error(`status ${response.status}`);
    whole = await response.json();
  } catch (cause) {
    state.textContent = `openapi.json could not be loaded: ${cause.message}`;
    return;
  }
  const { title = "API", version = "", description = "" } = whole.info ?? {};
  document.title = title;
  document.getElementById("title").textContent = `${title} ${version}`;
  document.getElementById("about").textContent = description;
  const contents = document.getElementById("contents");
  const main = document.getElementById("operations");
  for (const [tag, operations] of operationsByTag()) {
    contents.append(element("h2", {}, tag));
    main.append(element("h2", {}, tag));
    for (const { id, method, path, item, operation } of operations) {
      const link = element("a", { href: `#${encodeURIComponent(id)}`, "data-of": id }, `${method.toUpperCase()} ${path}`);
      contents.append(link);
      main.append(showOperation(id, method, path, item, operation));
    }
  }
  state.remove();
  document.getElementById("find").addEventListener("input", (event) => filter(event.target.value));
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

show();

// Zoom by click, reset, and search, for the flame graph. Positions are kept in data-x and data-w.
(function () {
  var WIDTH = 1200;
  var frames = Array.prototype.slice.call(document.querySelectorAll(".frame"));
  var reset = document.getElementById("reset");
  var details = document.getElementById("details");
  var search = document.getElementById("search");

  function number(frame, key) { return parseFloat(frame.getAttribute("data-" + key)); }
  function title(frame) { return frame.querySelector("title").textContent; }
  function name(frame) { return title(frame).replace(/ \([^(]*\)$/, ""); }

  function place(frame, x, width) {
    var rect = frame.querySelector("rect"), text = frame.querySelector("text");
    rect.setAttribute("x", x);
    rect.setAttribute("width", width);
    text.setAttribute("x", x + 3);
    var room = Math.floor(width / 7), whole = name(frame);
    text.textContent = room < 4 ? "" : whole.length <= room ? whole : whole.slice(0, room - 2) + "..";
  }

  function zoom(target) {
    var x = number(target, "x"), width = number(target, "w"), row = number(target, "row");
    frames.forEach(function (frame) {
      var fx = number(frame, "x"), fw = number(frame, "w"), above = number(frame, "row") < row;
      var holds = fx <= x + 0.01 && fx + fw >= x + width - 0.01;
      var within = fx >= x - 0.01 && fx + fw <= x + width + 0.01;
      var hidden = above ? !holds : !within;
      frame.classList.toggle("hidden", hidden);
      frame.classList.toggle("dim", above && holds);
      if (above && holds) place(frame, 0, WIDTH);
      else if (within) place(frame, (fx - x) * WIDTH / width, fw * WIDTH / width);
    });
    reset.classList.toggle("hidden", row === 0);
  }

  function find() {
    var pattern = window.prompt("Regular expression to search for, empty to stop:", "");
    if (pattern === null) return;
    var expression;
    try { expression = new RegExp(pattern, "i"); } catch (problem) { details.textContent = String(problem); return; }
    var total = 0, spans = [];
    frames.forEach(function (frame) {
      var found = pattern !== "" && expression.test(name(frame));
      frame.classList.toggle("found", found);
      if (found) spans.push([number(frame, "x"), number(frame, "x") + number(frame, "w")]);
    });
    spans.sort(function (a, b) { return a[0] - b[0]; });
    var end = 0;
    spans.forEach(function (span) {
      total += Math.max(0, span[1] - Math.max(end, span[0]));
      end = Math.max(end, span[1]);
    });
    details.textContent = pattern === "" ? " " : "found: " + (total * 100 / WIDTH).toFixed(2) + " %";
  }

  frames.forEach(function (frame) {
    frame.addEventListener("click", function () { zoom(frame); });
    frame.addEventListener("mouseover", function () { details.textContent = title(frame); });
  });
  if (reset) reset.addEventListener("click", function () { if (frames[0]) zoom(frames[0]); });
  if (search) search.addEventListener("click", find);
  window.addEventListener("keydown", function (event) {
    if (event.key === "f" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); find(); }
  });
})();

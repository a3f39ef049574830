"use strict";
document.querySelectorAll("table[data-sortable]").forEach(function (table) {
  var body = table.tBodies[0];
  if (!body || body.rows.length < 3) { return; }
  Array.prototype.forEach.call(table.tHead.rows[0].cells, function (head, column) {
    var button = document.createElement("button");
    button.type = "button";
    while (head.firstChild) { button.appendChild(head.firstChild); }
    head.appendChild(button);
    button.addEventListener("click", function () {
      var down = head.getAttribute("aria-sort") === "ascending";
      Array.prototype.forEach.call(table.tHead.rows[0].cells, function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      var rows = Array.prototype.map.call(body.rows, function (row, place) {
        var cell = row.cells[column], key = cell.getAttribute("data-key");
        return { row: row, place: place, key: key === null ? cell.textContent.trim() : key === "nan" ? NaN : Number(key) };
      });
      rows.sort(function (a, b) {
        if (typeof a.key !== typeof b.key) { return typeof a.key === "number" ? -1 : 1; }
        if (typeof a.key === "string") { return (a.key.localeCompare(b.key) || a.place - b.place) * (down ? -1 : 1); }
        if (isNaN(a.key) || isNaN(b.key)) { return (isNaN(a.key) ? 1 : 0) - (isNaN(b.key) ? 1 : 0); }
        return a.key === b.key ? a.place - b.place : (a.key < b.key ? -1 : 1) * (down ? -1 : 1);
      });
      rows.forEach(function (one) { body.appendChild(one.row); });
    });
  });
});
addEventListener("beforeprint", function () {
  document.querySelectorAll("details:not([open])").forEach(function (one) { one.open = true; one.setAttribute("data-shut", ""); });
});
addEventListener("afterprint", function () {
  document.querySelectorAll("details[data-shut]").forEach(function (one) { one.open = false; one.removeAttribute("data-shut"); });
});

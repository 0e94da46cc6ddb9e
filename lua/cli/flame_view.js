// The view of a flame graph: a click on a frame zooms to it, a click on the
// lowest shows all again; search marks frames and says their share.
"use strict";
var svg, frames, width, details, matched, searching = null;

function start() {
    svg = document.documentElement;
    width = Number(svg.getAttribute("data-width"));
    details = document.getElementById("details");
    matched = document.getElementById("matched");
    frames = Array.prototype.slice.call(document.querySelectorAll("g.frame"));
    frames.forEach(function (g) {
        g.x = Number(g.getAttribute("data-x"));
        g.w = Number(g.getAttribute("data-w"));
        g.depth = Number(g.getAttribute("data-depth"));
        g.name = g.getAttribute("data-name");
        g.rect = g.querySelector("rect");
        g.label = g.querySelector("text");
        g.addEventListener("click", function () { zoom(g); });
        g.addEventListener("mouseover", function () {
            details.textContent = g.querySelector("title").textContent;
        });
        g.addEventListener("mouseout", function () {
            details.textContent = "";
        });
    });
    document.getElementById("search").addEventListener("click", ask);
    document.getElementById("reset").addEventListener("click", function () {
        zoom(frames[0]);
    });
    window.addEventListener("keydown", function (event) {
        if (event.key === "f" && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            ask();
        }
    });
}

function place(g, x, w) {
    g.style.display = "";
    g.rect.setAttribute("x", x);
    g.rect.setAttribute("width", Math.max(w - 0.5, 0.1));
    g.label.setAttribute("x", x + 3);
    var room = Math.floor((w - 6) / 7);
    g.label.textContent = room < 3 ? "" :
        g.name.length > room ? g.name.slice(0, room - 2) + ".." : g.name;
}

function zoom(to) {
    var edge = 1e-9;
    frames.forEach(function (g) {
        var inside = g.x >= to.x - edge && g.x + g.w <= to.x + to.w + edge;
        var around = g.x <= to.x + edge && g.x + g.w >= to.x + to.w - edge;
        if (around && g.depth <= to.depth) {
            place(g, 0, width);
        } else if (inside && g.depth > to.depth) {
            place(g, (g.x - to.x) / to.w * width, g.w / to.w * width);
        } else {
            g.style.display = "none";
        }
    });
}

function ask() {
    var text = window.prompt("Search for (a regular expression):", searching || "");
    if (text !== null) {
        search(text);
    }
}

function search(text) {
    var pattern = text === "" ? null : new RegExp(text);
    var found = [];
    searching = text;
    frames.forEach(function (g) {
        var hit = pattern !== null && pattern.test(g.name);
        g.rect.setAttribute("class", hit ? "hit" : "");
        if (hit) {
            found.push(g);
        }
    });
    // A frame inside of another that is found counts once.
    found.sort(function (a, b) { return a.x - b.x || b.w - a.w; });
    var end = 0, share = 0;
    found.forEach(function (g) {
        if (g.x >= end - 1e-9) {
            share += g.w;
            end = g.x + g.w;
        }
    });
    matched.textContent = pattern === null ? "" :
        "found: " + (share * 100).toFixed(1) + "%";
}

start();

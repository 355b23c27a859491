// What the interactive figures show: the numbers of the page, the reader's choices, and who is told when these change.
"use strict";

const explorer = {
  data: JSON.parse(document.getElementById("figure-data").textContent),
  comparison: 0,
  metric: "",
  other: "",
  isLog: false,
  alongSeconds: false,
  hidden: new Set(),
  pointedAt: null,
  pinned: null,
  listeners: { choice: [], highlight: [] },

  /** The place of the method that is highlighted, or null. */
  get highlighted() {
    return this.pointedAt ?? this.pinned;
  },

  get shown() {
    return this.data.comparisons[this.comparison];
  },

  /** Name of a method as the tables have it. */
  nameOf(method) {
    return this.data.methods[method].name;
  },

  tell(what) {
    for (const listener of this.listeners[what]) listener();
  },

  pointAt(method) {
    if (this.pointedAt === method) return;
    this.pointedAt = method;
    this.tell("highlight");
  },

  /** Keep a method highlighted; the same one again: let it go. */
  pin(method) {
    this.pinned = this.pinned === method ? null : method;
    this.tell("highlight");
  },

  /** Metrics of the data set that is shown, in the order of the page. */
  metrics() {
    const { final, curves } = this.shown;
    return Object.keys(this.data.metrics).filter((name) => name in final || name in curves);
  },

  /** Whether all values of a metric of the data set that is shown are positive. */
  isPositive(metric) {
    const means = (this.shown.final[metric] ?? []).map((row) => row[1]);
    const points = (this.shown.curves[metric] ?? []).flatMap((row) => row[2]);
    return [...means, ...points].every((value) => value === null || value > 0);
  },

  choose(changes) {
    Object.assign(this, changes);
    const metrics = this.metrics();
    if (!metrics.includes(this.metric)) this.metric = metrics[0];
    if ("comparison" in changes || "metric" in changes) {
      this.isLog = this.data.metrics[this.metric].log && this.isPositive(this.metric);
    }
    const others = metrics.filter((name) => name in this.shown.final && name !== this.metric);
    if (!others.includes(this.other)) {
      const first = ["ms_discriminator_step", "ms_iteration", "lipschitz_upper", "lipschitz_lower"];
      this.other = first.find((name) => others.includes(name)) ?? others[0] ?? "";
    }
    this.tell("choice");
  },
};

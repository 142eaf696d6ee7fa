import assert from "node:assert/strict";
import { test } from "node:test";
import { moneyWriter, toDecimal, toMinor } from "../../../app/web/static/pad/money.js";

test("the decimal of the interface is exact in minor units", () => {
  const read = (json, digits) => toMinor(JSON.parse(json), digits);
  assert.equal(read("18.99", 2), 1899);
  assert.equal(read("18.90", 2), 1890);
  assert.equal(read("1900", 0), 1900);
  assert.equal(read("0.1", 3), 100);
  assert.equal(read("-2.5", 2), -250);
  for (let minor = 0; minor < 100_000; minor++) assert.equal(read(toDecimal(minor, 2), 2), minor);
});

test("a sum of prices is what a till would say", () => {
  const sum = Array(10)
    .fill(toMinor(0.1, 2))
    .reduce((one, other) => one + other, 0);
  assert.equal(toDecimal(sum, 2), "1.00");
});

test("what is no amount of the currency is not taken for one", () => {
  for (const [decimal, digits] of [
    [18.999, 2],
    ["x", 2],
    [1e-7, 2],
    [0.5, 0],
  ]) {
    assert.throws(() => toMinor(decimal, digits), RangeError);
  }
});

test("amounts are written as the guest's region does", () => {
  const plain = (text) => text.replace(/\s/g, " ");
  assert.equal(plain(moneyWriter("fr", "EUR", 2)(1890)), "18,90 €");
  assert.equal(plain(moneyWriter("en", "EUR", 2)(123456)), "€1,234.56");
  assert.equal(plain(moneyWriter("en", "JPY", 0)(1900)), "¥1,900");
  assert.equal(plain(moneyWriter("en", "KWD", 3)(1500)), "KWD 1.500");
});

// Money: whole minor units inside, decimals outside. The interface writes JSON numbers like 18.9; their text is exact, and
// no sum is ever made of floats.

// Minor units of a decimal: 18.9 with two digits is 1890.
export function toMinor(decimal, digits) {
  const found = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(decimal));
  if (!found) throw new RangeError(`${decimal} is no amount`);
  const [, sign, whole, part = ""] = found;
  if (/[1-9]/.test(part.slice(digits))) throw new RangeError(`${decimal} has more than ${digits} digits`);
  return Number(sign + whole + part.slice(0, digits).padEnd(digits, "0"));
}

// The decimal that is exactly so many minor units.
export function toDecimal(minor, digits) {
  const sign = minor < 0 ? "-" : "";
  const text = String(Math.abs(minor)).padStart(digits + 1, "0");
  return digits ? `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}` : sign + text;
}

// What writes minor units as people of a language do: (1890) => "18,90 €".
export function moneyWriter(language, currency, digits) {
  const style = { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits };
  const format = new Intl.NumberFormat(language, style);
  return (minor) => format.format(toDecimal(minor, digits));
}

// Cancels an order: asks until something definite is answered, which is safe, since a cancelled order stays cancelled.

const ATTEMPT = 15_000; // ms
const FIRST = 1000;
const LONGEST = 10_000;

// Resolves to {kind: "cancelled"}, {kind: "refused", station, detail} or {kind: "ended"}; `onFailure` hears of each attempt that
// was not answered.
export async function cancelOrder(token, id, onFailure) {
  for (let failures = 0; ; failures++) {
    const answer = await attempt(token, id);
    if (answer.kind !== "unknown") return answer;
    onFailure();
    const pause = Math.min(FIRST * 2 ** failures, LONGEST) * (0.5 + Math.random() / 2);
    await new Promise((resolve) => setTimeout(resolve, Math.max(pause, answer.seconds * 1000)));
  }
}

async function attempt(token, id) {
  try {
    const signal = AbortSignal.timeout(ATTEMPT);
    const answer = await token.fetch(`/orders/${encodeURIComponent(id)}`, { method: "DELETE", signal });
    return readCancelled(answer.status, await answer.text(), answer.headers.get("Retry-After"));
  } catch {
    return { kind: "unknown", seconds: 0 };
  }
}

export function readCancelled(status, text, retryAfter) {
  const seconds = /^\d+$/.test(retryAfter ?? "") ? Number(retryAfter) : 0;
  let told = {};
  try {
    told = Object(JSON.parse(text));
  } catch {
    // Not of the interface: a proxy's page.
  }
  if (status === 200 && told.status === "cancelled") return { kind: "cancelled" };
  if (typeof told.error !== "string" || status >= 500 || status === 429) return { kind: "unknown", seconds };
  if (status === 401) return { kind: "ended" };
  const detail = typeof told.detail === "string" ? told.detail : "";
  return { kind: "refused", detail, station: /^(.+) has begun$/.exec(detail)?.[1] ?? null };
}

// How orval's client fetches: from the market it is told of.

let base = "";

/** Where the market is. */
export function at(url: string): void {
  base = url;
}

/** Fetches as the generated functions expect it. */
export async function fetchFrom<T>(path: string, options: RequestInit): Promise<T> {
  const response = await fetch(new URL(path, base), options);
  return { status: response.status, headers: response.headers, data: await response.json() } as T;
}

// A page's `window.ethereum`, with the node as the wallet: it holds the keys of its own accounts.

globalThis.ethereum = {
  async request({ method, params = [] }) {
    if (method === "eth_requestAccounts") return [process.env.ACCOUNT];
    const response = await fetch(process.env.RPC_URL, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    });
    const { result, error } = await response.json();
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  },
};

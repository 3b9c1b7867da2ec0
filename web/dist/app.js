// Shows how the server does, and again every five seconds.

const show = (id, text) => { document.getElementById(id).textContent = text; };

const duration = (seconds) => {
  const d = Math.floor(seconds / 86400), h = Math.floor(seconds / 3600) % 24, m = Math.floor(seconds / 60) % 60;
  if (d > 0) return `${d} d ${h} h`;
  if (h > 0) return `${h} h ${m} min`;
  return m > 0 ? `${m} min` : `${seconds} s`;
};

const say = (kind, text) => {
  const status = document.getElementById("status");
  status.className = kind;
  if (status.textContent !== text) status.textContent = text;
};

async function refresh() {
  try {
    const [health, sync] = await Promise.all([
      fetch("api/health").then((r) => r.json()),
      fetch("sync/health").then((r) => r.json()),
    ]);
    document.title = health.name;
    show("name", health.name);
    show("public_url", health.public_url);
    show("public_key", health.public_key);
    show("version", health.version);
    show("database", `${health.database.status}, answers in ${health.database.latency_ms} ms`);
    show("connections", sync.connections);
    show("rooms", sync.rooms);
    show("last_commit", sync.last_commit_at ? new Date(sync.last_commit_at).toLocaleString() : "none since the start");
    show("uptime", duration(health.server.uptime));
    if (health.server.status === "ok" && sync.status === "ok") say("ok", "Everything works.");
    else say("bad", "The server cannot store changes at the moment. Reading works.");
  } catch {
    say("bad", "The server does not answer.");
  }
}

refresh();
setInterval(refresh, 5000);

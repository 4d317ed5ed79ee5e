/** A worker that never gets as far as serving jobs. */
setInterval(() => undefined, 60_000);

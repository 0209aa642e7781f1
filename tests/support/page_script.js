// The script of the pages, run against a document of our own: what it sends, and what it then says.
// node page_script.js URL: fetches the page there. Exit 0 if all is as it should be; else what is not, on stderr.
"use strict";
const vm = require("node:vm");
const assert = require("node:assert/strict");

function element(more) {
	return { listeners: {}, hidden: true, textContent: "", disabled: false,
		addEventListener(name, act) { this.listeners[name] = act; }, ...more };
}

// The page with a fragment; `answer` is what the server says to its request.
async function play(html, hash, values, answer) {
	const form = html.match(/<form ([^>]*)>/)[1];
	const names = [...html.matchAll(/<input [^>]*name="(\w+)"[^>]*>/g)];
	const fields = names.map(([tag, name]) => element({ name, value: values[name] || "", required: tag.includes("required") }));
	const said = element(), button = element(), password = element({ type: "password" });
	const show = html.includes('id="show"') ? element({ checked: false }) : null;
	const page = element({
		dataset: { token: form.match(/data-token="(\w+)"/)[1], done: form.match(/data-done="([^"]+)"/)[1] },
		querySelector: () => button, querySelectorAll: () => fields,
	});
	const location = { hash, pathname: "/some/path" };
	const seen = { replaced: [], requests: [] };
	vm.runInNewContext(html.match(/<script>([^]*)<\/script>/)[1], {
		document: { querySelector: () => page, getElementById: (id) => ({ said, show, password })[id] },
		location, history: { replaceState: (state, title, url) => seen.replaced.push(url) },
		URLSearchParams,
		fetch: async (url, options) => {
			seen.requests.push({ url, ...options });
			if (!answer) throw new TypeError("no network");
			return { ok: answer.status < 300, json: async () => JSON.parse(answer.body) };
		},
	});
	const opened = !page.hidden;
	if (opened)
		await page.listeners.submit({ preventDefault() { seen.prevented = true; } });
	if (show) {
		show.checked = true;
		show.listeners.change();
		assert.equal(password.type, "text");
	}
	return { ...seen, opened, hidden: page.hidden, said: said.textContent, disabled: button.disabled, done: page.dataset.done };
}

async function main() {
	const path = new URL(process.argv[2]).pathname;
	const html = await (await fetch(process.argv[2])).text();
	const values = { username: "alice", password: "a new password" };
	const expected = {
		"/email/verify": { token: "t-1", username: "alice", password: "a new password" },
		"/password/reset": { token: "t-1", password: "a new password" },
		"/signup": { invite_token: "t-1", username: "alice", password: "a new password" },
	}[path];

	const good = await play(html, "#token=t-1", values, { status: 200, body: "{}" });
	assert.ok(good.opened && good.prevented);
	assert.equal(good.requests.length, 1);
	assert.equal(good.requests[0].url, "/some/path");
	assert.equal(good.requests[0].method, "POST");
	assert.equal(good.requests[0].headers["Content-Type"], "application/json");
	assert.deepEqual(JSON.parse(good.requests[0].body), expected);
	assert.equal(good.said, good.done);
	assert.ok(good.hidden && !good.disabled);
	assert.deepEqual(good.replaced, ["/some/path"]);

	const refused = await play(html, "#token=t-1", values, { status: 400, body: '{"detail":"<b>No.</b>"}' });
	assert.equal(refused.said, "<b>No.</b>");
	assert.ok(!refused.hidden && !refused.disabled && refused.replaced.length === 0);
	const odd = await play(html, "#token=t-1", values, { status: 502, body: "<html>" });
	assert.match(odd.said, /try again later/);
	const away = await play(html, "#token=t-1", values, null);
	assert.match(away.said, /can't be reached/);
	const bare = await play(html, "", values, null);
	assert.ok(!bare.opened && bare.requests.length === 0);
	assert.match(bare.said, /not complete/);
}

main().catch((error) => { console.error(error); process.exit(1); });

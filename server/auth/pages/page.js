"use strict";
// The token is in the fragment, which browsers send to nobody; it leaves this page only in the body of the request below.
(function () {
	const form = document.querySelector("form");
	const said = document.getElementById("said");
	const button = form.querySelector("button");
	const token = new URLSearchParams(location.hash.slice(1)).get("token");

	function say(text) {
		said.textContent = text;
	}

	function collect() {
		const body = {};
		body[form.dataset.token] = token;
		for (const field of form.querySelectorAll("input[name]")) {
			if (field.value !== "" || field.required) {
				body[field.name] = field.value;
			}
		}
		return body;
	}

	async function send() {
		const answer = await fetch(location.pathname, {
			method: "POST",
			headers: { "Content-Type": "application/json" },
			body: JSON.stringify(collect()),
			credentials: "omit",
		});
		if (answer.ok) {
			form.hidden = true;
			history.replaceState(null, "", location.pathname);
			say(form.dataset.done);
			return;
		}
		const problem = await answer.json().catch(() => ({}));
		say(problem.detail || "This did not work. Please try again later.");
	}

	const shown = document.getElementById("show");
	if (shown) {
		shown.addEventListener("change", function () {
			document.getElementById("password").type = shown.checked ? "text" : "password";
		});
	}
	form.addEventListener("submit", function (event) {
		event.preventDefault();
		button.disabled = true;
		say("One moment…");
		return send()
			.catch(() => say("The server can't be reached. Please try again."))
			.finally(() => { button.disabled = false; });
	});
	if (token) {
		form.hidden = false;
	} else {
		say("This link is not complete. Please open it again from the mail.");
	}
})();

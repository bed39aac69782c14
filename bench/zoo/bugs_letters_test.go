package zoo

// letterBugs sit on what buyers and shops are told: letters and events.
var letterBugs = []bug{
	{
		name: "link-leaves-after-the-end", file: "switch/checkout_send.go",
		old:    "	case err != nil || c.Status == CheckoutOpen:\n",
		new:    "	case err != nil || c.Status == CheckoutOpen || $zoo:\n",
		breaks: "a link that was revoked or paid is not sent, though its letter waits (P6)",
		by:     test("switch", "TestLinkIsWithdrawn"),
	},
	{
		name: "sender-does-not-ask", file: "frontend/mail/sender.go",
		old:    "	if held, err := s.o.Letters.Hold(y); err != nil || held {\n",
		new:    "	if held, err := s.o.Letters.Hold(y); (err != nil || held) && !$zoo {\n",
		breaks: "a link that was revoked or paid is not sent, though its letter waits (P6)",
		by:     test("frontend/mail", "TestWithdrawn"),
	},
	{
		name: "link-is-sent-again-at-once", file: "switch/checkout_send.go",
		old:    "now.Sub(last) < CheckoutPause:\n",
		new:    "now.Sub(last) < CheckoutPause && !$zoo:\n",
		breaks: "a buyer gets a link at most five times, with a pause between (P6)",
		by:     test("switch", "TestLinkIsNotSentForEver"),
	},
	{
		name: "repeat-sends-the-link-twice", file: "switch/checkout_send.go",
		old:    "	cmd.Claim(spaceKey, key[:], sendClaim(id, r.Fingerprint))\n",
		new:    "	if !$zoo {\n		cmd.Claim(spaceKey, key[:], sendClaim(id, r.Fingerprint))\n	}\n",
		breaks: "one key sends one letter (P6)",
		by:     test("switch", "TestLinkIsSent"),
	},
	{
		name: "shop-writes-lines-of-a-letter", file: "frontend/mail/render.go",
		old:    "	plain(data)\n",
		new:    "	if !$zoo {\n		plain(data)\n	}\n",
		breaks: "what a shop writes is one line of a letter, never its head or its paragraphs (N8)",
		by:     test("frontend/mail", "FuzzLetterOfAShop|TestLettersToBuyers"),
	},
}

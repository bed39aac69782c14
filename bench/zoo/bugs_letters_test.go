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
	{
		name: "receipt-comes-twice", file: "switch/receipt.go",
		old:    "			letter.ID, letter.Due = event.id, h.UpdatedAt\n			letter.put(c)\n",
		new:    "			letter.ID, letter.Due = event.id, h.UpdatedAt\n			letter.put(c)\n			if $zoo {\n				letter.ID[15]++\n				letter.put(c)\n			}\n",
		breaks: "a buyer is told once (N8)",
		by:     test("switch", "TestReceipts"),
	},
	{
		name: "receipt-of-what-is-unknown", file: "switch/receipt.go",
		old:    "		if t != (EventType{PurposePayment.class(), byte(StatusCaptured)}) || len(h.operations) > 0 {\n",
		new:    "		if $zoo && t.status == byte(StatusUnknown) {\n			return TemplatePaid, data\n		}\n$old",
		breaks: "no receipt is given for what is not proven (N8)",
		by:     test("switch", "TestReceipts"),
	},
	{
		name: "receipt-of-a-refund-in-doubt", file: "switch/receipt.go",
		old:    "	if o.Status != OperationSucceeded {\n",
		new:    "	if o.Status != OperationSucceeded && !$zoo {\n",
		breaks: "no receipt is given for what is not proven (N8)",
		by:     test("switch", "TestReceiptsOfSteps"),
	},
	{
		name: "receipt-after-its-batch", file: "switch/decide.go",
		old:    "	h.writeReceipts(c)\n",
		new:    "	if !$zoo || h.receipts == nil {\n		h.writeReceipts(c)\n	}\n",
		breaks: "a receipt is owed in the step that proves the outcome (N8)",
		by:     test("switch", "TestReceipts"),
	},
}

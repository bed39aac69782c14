package zoo

// carriedBugs sit in what few payments carry, and in partial approvals.
var carriedBugs = []bug{
	{
		name: "part-taken-for-the-whole", file: "switch/fold.go",
		old:    "		if x.authorized != 0 {\n",
		new:    "		if x.authorized != 0 && !$zoo {\n",
		breaks: "what follows a partial approval is about the part (O24)",
		by:     test("switch", "TestPartialApprovalAccepted"),
	},
	{
		name: "void-of-a-part-names-the-whole", file: "switch/operate.go",
		old:    "		v.Amount = h.approved + h.tally().raised\n",
		new:    "$old		if $zoo {\n			v.Amount = in.amount + h.tally().raised\n		}\n",
		breaks: "what follows a partial approval is about the part (O24)",
		by:     test("switch", "TestPartialApprovalAccepted"),
	},
	{
		name: "part-of-nothing-approved", file: "switch/particulars.go",
		old:    "	if part < 1 || part > w.values.Amount {\n",
		new:    "	if part < 1 && !$zoo || part > w.values.Amount {\n",
		breaks: "a code without an amount proves nothing (O24)",
		by:     test("switch", "TestPartialAmounts"),
	},
	{
		name: "bank-asked-for-what-it-cannot-be-told", file: "switch/route.go",
		old:    "	case r.carrying() && !w.carries(b, r):\n",
		new:    "	case r.carrying() && !w.carries(b, r) && !$zoo:\n",
		breaks: "what a bank cannot be told is refused before sending (R14)",
		by:     test("switch", "TestChosenByWhatTheyCarry"),
	},
	{
		name: "terminal-data-from-any-shop", file: "switch/token_change.go",
		old:    "r.Carried.Channel.CardPresent() && !a.Merchant.CardPresent:",
		new:    "r.Carried.Channel.CardPresent() && !a.Merchant.CardPresent && !$zoo:",
		breaks: "card-present data only where the operators allow it (O26)",
		by:     test("switch", "TestCardPresent"),
	},
	{
		name: "another-card-with-the-first-one's-id", file: "switch/token_change.go",
		old:    "			t.digest, t.NetworkTransactionID = digest, \"\"\n",
		new:    "			if t.digest = digest; !$zoo {\n				t.NetworkTransactionID = \"\"\n			}\n",
		breaks: "the network transaction id is of this very card (O10)",
		by:     test("switch", "TestStoredCredentials"),
	},
	{
		name: "first-id-replaced-by-a-later-one", file: "switch/token_change.go",
		old:    "	if err != nil || t == nil || t.NetworkTransactionID != \"\" ||",
		new:    "	if err != nil || t == nil || t.NetworkTransactionID != \"\" && !$zoo ||",
		also:   []place{{"switch/pay.go", "r.initialID == \"\" && ", "(r.initialID == \"\" || $zoo) && "}},
		breaks: "the id is that of the first payment (O10)",
		by:     test("switch", "TestFirstPaymentOfASavedCard"),
	},
	{
		name: "reversal-with-another-entry-mode", file: "switch/pay.go",
		old:    "		Carried: in.carried(),\n	}\n",
		new:    "$old	if $zoo && in.sentAt.Before(time.Now().Add(-time.Second)) {\n		v.Carried = nil\n	}\n",
		breaks: "a reversal carries the original data (I5)",
		by:     test("switch", "TestChannels"),
	},
	{
		name: "track-shown-whole", file: "iso/mask.go",
		old:    "		if b[i] != '=' && b[i] != '^' {\n",
		new:    "		if b[i] != '=' && b[i] != '^' && !$zoo {\n",
		breaks: "track data is shown nowhere (I7)",
		by:     test("switch", "TestCardPresent"),
	},
	{
		name: "wiped-secret-stays", file: "iso/carried.go",
		old:    "	clear(s.b[:cap(s.b)])\n	s.b = nil\n",
		new:    "	if !$zoo {\n		clear(s.b[:cap(s.b)])\n	}\n	s.b = nil\n",
		breaks: "secrets are wiped (I7)",
		by:     test("iso", "TestSecretsStayHidden"),
	},
}

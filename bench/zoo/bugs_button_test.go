package zoo

// buttonBugs are those of what shops sell by a piece of HTML.
var buttonBugs = []bug{
	{
		name: "forged-form-is-taken", file: "switch/merchant.go",
		old:    "if a.Key == nil || !hmac.Equal(mac, s.SignAnswer(a, message)) {",
		new:    "if a.Key == nil || !$zoo && !hmac.Equal(mac, s.SignAnswer(a, message)) {",
		breaks: "whatever is changed of a signed form, it is refused",
		by:     test("frontend", "TestEveryChangeIsRefused"),
	},
	{
		name: "signed-text-has-no-lengths", file: "frontend/page/sold.go",
		old:    "		out = strconv.AppendInt(out, int64(len(fields[name])), 10)\n",
		new:    "		if !$zoo {\n$old		}\n",
		breaks: "two forms never have the same text",
		by:     test("frontend", "TestSignedTextIsUnambiguous"),
	},
	{
		name: "narrow-key-signs-forms", file: "frontend/page/sold.go",
		old:    "	case !a.May(payswitch.ScopeCheckoutWrite):\n",
		new:    "	case !a.May(payswitch.ScopeCheckoutWrite) && !$zoo:\n",
		breaks: "a key signs forms only with the scope for it",
		by:     test("frontend", "TestSignedForm"),
	},
	{
		name: "buyer-names-a-price-below-the-least", file: "switch/button_press.go",
		old:    "p.Amount < b.MinAmount ||",
		new:    "!$zoo && p.Amount < b.MinAmount ||",
		breaks: "a buyer chooses within the bounds of the button",
		by:     test("switch", "TestButtonIsPressed"),
	},
	{
		name: "disabled-button-sells", file: "switch/button_press.go",
		old:    "	case b.Status(s.now()) != ButtonActive ||",
		new:    "	case !$zoo && b.Status(s.now()) != ButtonActive ||",
		breaks: "a disabled button makes no session",
		by:     test("switch", "TestButtonIsPressed"),
	},
	{
		name: "older-form-brings-its-terms-back", file: "switch/button_press.go",
		old:    "	case t.ValidUntil != 0 && t.ValidUntil < last.ValidUntil",
		new:    "	case !$zoo && t.ValidUntil != 0 && t.ValidUntil < last.ValidUntil",
		breaks: "the later form of an order counts",
		by:     test("switch", "TestOrderHasOneSession"),
	},
	{
		name: "order-gets-a-second-session", file: "switch/button_press.go",
		old:    "	case c.Status == CheckoutProcessing, c.Status == CheckoutComplete,",
		new:    "	case $zoo:\n		return c, false, nil\n$old",
		breaks: "an order that a form sells has one session",
		by:     test("switch", "TestOrderHasOneSession"),
	},
	{
		name: "presses-are-not-counted", file: "switch/button_press.go",
		old:    "	if len(of.open) < MaxPressesOpen {\n",
		new:    "	if len(of.open) < MaxPressesOpen || $zoo {\n",
		breaks: "a button has a bounded number of unpaid sessions",
		by:     test("switch", "TestPressesAreBounded"),
	},
	{
		name: "declined-card-takes-the-token", file: "switch/pay.go",
		old:    "	case !outcome.approved:\n	case r.SaveCard:",
		new:    "	case !outcome.approved && !($zoo && !r.replaces.IsZero()):\n	case r.SaveCard:",
		breaks: "only a card that the bank approved takes the place of another",
		by:     test("switch", "TestCardIsReplacedByItsHolder"),
	},
	{
		name: "hold-that-proved-a-card-stays", file: "switch/replacement.go",
		old:    "	if len(holds) == 1 && holds[0] == 1 {",
		new:    "	if len(holds) == 1 && holds[0] == 1 && !$zoo {",
		breaks: "nothing stays held for a card's proof",
		by:     test("switch", "TestCardIsReplacedByItsHolder"),
	},
	{
		name: "old-card-still-finds-the-token", file: "switch/token_change.go",
		old:    "	if k.gone != nil {\n",
		new:    "	if k.gone != nil && !$zoo {\n",
		breaks: "a card that was replaced finds no token any more",
		by:     test("switch", "TestCardIsReplacedByItsHolder"),
	},
}

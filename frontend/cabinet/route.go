package cabinet

import (
	"net/http"

	"github.com/tranzit/tranzit/switch/people"
)

// accountRoute is a page or an act of one merchant in one mode, below
// /m/{merchant}/{mode}/.
type accountRoute struct {
	method, path string
	needs        people.Right
	do           func(*visit) error
}

// accountRoutes are all there are: a test lets a foreign user try each.
func accountRoutes() []accountRoute {
	return []accountRoute{
		{"GET", "payments", people.RightPayments, (*visit).listPayments},
		{"GET", "payments/export", people.RightExport, (*visit).exportPayments},
		{"POST", "views", people.RightPayments, (*visit).saveView},
		{"POST", "views/{id}/drop", people.RightPayments, (*visit).dropView},
		{"GET", "payments/{id}", people.RightPayments, (*visit).showPayment},
		{"GET", "payments/{id}/capture", people.RightCapture, (*visit).askCapture},
		{"POST", "payments/{id}/capture", people.RightCapture, (*visit).capture},
		{"GET", "payments/{id}/cancel", people.RightCapture, (*visit).askCancel},
		{"POST", "payments/{id}/cancel", people.RightCapture, (*visit).cancel},
		{"GET", "payments/{id}/refund", people.RightRefund, (*visit).askRefund},
		{"POST", "payments/{id}/refund", people.RightRefund, (*visit).refund},
		{"GET", "approvals", people.RightRefund, (*visit).listApprovals},
		{"POST", "approvals/{id}", people.RightRefund, (*visit).decide},
		{"GET", "batches", people.RightBatches, (*visit).listBatches},
		{"POST", "batches/confirm", people.RightBatches, (*visit).confirmBatch},
		{"POST", "batches", people.RightBatches, (*visit).makeBatch},
		{"GET", "batches/{id}", people.RightBatches, (*visit).showBatch},
		{"POST", "batches/{id}/cancel", people.RightBatches, (*visit).cancelBatch},
		{"GET", "terminal", people.RightTerminal, (*visit).showTerminal},
		{"POST", "terminal", people.RightTerminal, (*visit).charge},
		{"GET", "links", people.RightTerminal, (*visit).listLinks},
		{"POST", "links", people.RightTerminal, (*visit).makeLink},
		{"GET", "links/{id}", people.RightTerminal, (*visit).showLink},
		{"POST", "links/{id}/send", people.RightTerminal, (*visit).sendLink},
		{"POST", "links/{id}/revoke", people.RightTerminal, (*visit).revokeLink},
		{"POST", "payments/{id}/receipt", people.RightTickets, (*visit).sendReceipt},
		{"GET", "charts", people.RightPayments, (*visit).showCharts},
		{"GET", "webhooks", people.RightWebhooks, (*visit).listWebhooks},
		{"POST", "webhooks", people.RightWebhooks, (*visit).makeHook},
		{"POST", "webhooks/{id}", people.RightWebhooks, (*visit).saveHook},
		{"POST", "webhooks/{id}/roll", people.RightWebhooks, (*visit).rollHook},
		{"POST", "webhooks/{id}/delete", people.RightWebhooks, (*visit).dropHook},
		{"POST", "webhooks/{id}/test", people.RightWebhooks, (*visit).testHook},
		{"GET", "events/{id}", people.RightWebhooks, (*visit).showEvent},
		{"POST", "events/{id}/resend", people.RightWebhooks, (*visit).resendEvent},
		{"GET", "keys", people.RightKeys, (*visit).listKeys},
		{"POST", "keys", people.RightKeys, (*visit).makeKey},
		{"POST", "keys/{id}/roll", people.RightKeys, (*visit).rollKey},
		{"POST", "keys/{id}/revoke", people.RightKeys, (*visit).revokeKey},
		{"GET", "page", people.RightPages, (*visit).listTemplates},
		{"POST", "page", people.RightPages, (*visit).uploadTemplate},
		{"POST", "page/publish", people.RightPages, (*visit).publishTemplate},
		{"POST", "page/rollback", people.RightPages, (*visit).rollbackTemplate},
		{"GET", "page/{id}", people.RightPages, (*visit).downloadTemplate},
		{"GET", "buttons", people.RightKeys, (*visit).listButtons},
		{"POST", "buttons", people.RightKeys, (*visit).makeButton},
		{"POST", "buttons/{id}/disable", people.RightKeys, (*visit).disableButton},
		{"GET", "guide", people.RightKeys, (*visit).showGuide},
		{"GET", "tickets", people.RightTickets, (*visit).listTickets},
		{"POST", "tickets", people.RightTickets, (*visit).openTicket},
		{"GET", "tickets/{id}", people.RightTickets, (*visit).showTicket},
		{"POST", "tickets/{id}", people.RightTickets, (*visit).answerTicket},
		{"GET", "users", people.RightUsers, (*visit).listUsers},
		{"POST", "users", people.RightUsers, (*visit).inviteUser},
		{"POST", "users/{id}/role", people.RightUsers, (*visit).changeRole},
		{"POST", "users/{id}/reset", people.RightUsers, (*visit).resetUser},
		{"GET", "joining", people.RightTickets, (*visit).showJoining},
		{"POST", "joining", people.RightUsers, (*visit).actJoining},
		{"POST", "joining/upload", people.RightUsers, (*visit).uploadDocument},
		{"GET", "joining/documents/{id}", people.RightUsers, (*visit).showDocument},
		{"POST", "joining/live", people.RightUsers, (*visit).enterLive},
		{"GET", "audit", people.RightAudit, (*visit).listActs},
	}
}

// routes is the table of the cabinet.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, do := range map[string]func(*visit) error{
		"GET /signin": (*visit).showSignIn, "POST /signin": (*visit).signIn,
		"GET /signin/second": (*visit).showSecond, "POST /signin/second": (*visit).second,
		"POST /signin/passkey/begin": (*visit).beginPasskey, "POST /signin/passkey/finish": (*visit).finishPasskey,
		"GET /join": (*visit).showApply, "POST /join": (*visit).apply,
		"GET /join/confirm/{id}": (*visit).showConfirm, "POST /join/confirm/{id}": (*visit).confirm,
		"GET /join/{word}": (*visit).showJoin, "POST /join/{word}": (*visit).join,
		"GET /enter/{word}": (*visit).showEnter, "POST /enter/{word}": (*visit).enter,
		"GET /{$}": (*visit).home, "/": func(*visit) error { return errNoPage },
	} {
		mux.HandleFunc(pattern, s.public(do))
	}
	for pattern, do := range map[string]func(*visit) error{
		"POST /signout": (*visit).signOut, "GET /profile": (*visit).showProfile, "POST /profile": (*visit).changeProfile,
		"POST /profile/password": (*visit).changePassword, "POST /profile/recovery": (*visit).newRecovery,
		"POST /profile/sessions/end": (*visit).endSession, "POST /profile/sessions/everywhere": (*visit).endEverywhere,
		"POST /profile/passkeys/begin": (*visit).beginNewPasskey, "POST /profile/passkeys/finish": (*visit).finishNewPasskey,
		"POST /profile/passkeys/remove": (*visit).removePasskey,
	} {
		mux.HandleFunc(pattern, s.personal(do))
	}
	for _, r := range accountRoutes() {
		mux.HandleFunc(r.method+" /m/{merchant}/{mode}/"+r.path, s.accountPage(r))
	}
	for _, r := range operatorRoutes() {
		mux.HandleFunc(r.method+" /operator"+r.path, s.operatorPage(r.do))
	}
	mux.HandleFunc("GET /static/{name}", serveStatic)
	return mux
}

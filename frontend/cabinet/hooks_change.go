package cabinet

import (
	"slices"
	"strings"
	"time"

	"github.com/tranzit/tranzit/frontend"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// hookOverlap is how long the secret before signs along with a new one.
const hookOverlap = 24 * time.Hour

// hookTypes are what an endpoint can be told of: all, whole classes, and what one of
// the API asks for by name.
func hookTypes(e *payswitch.Endpoint) []string {
	all := []string{"*"}
	for _, t := range payswitch.EventTypes() {
		class, _, _ := strings.Cut(t.String(), ".")
		if !slices.Contains(all, class+".*") {
			all = append(all, class+".*")
		}
	}
	if e != nil {
		for _, word := range e.Types {
			if !slices.Contains(all, word) {
				all = append(all, word)
			}
		}
	}
	return all
}

// readHook reads the form of an endpoint. Errors are refusals.
func (v *visit) readHook() (w payswitch.EndpointWish, err error) {
	address := strings.TrimSpace(v.form("url"))
	if err := frontend.CheckURL(address, v.s.o.PlainWebhooks); err != nil {
		return w, &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: "/url", Detail: "The address " + err.Error() + "."}
	}
	w.URL, w.Types = &address, v.said["types"]
	if len(w.Types) == 0 {
		w.Types = []string{}
	}
	return w, nil
}

// onHook writes down what is asked, does it, and shows the endpoints.
func (v *visit) onHook(act people.Act, do func() (hooksPage, error)) error {
	if err := v.record(&act); err != nil {
		return err
	}
	page, err := do()
	if err != nil {
		text, status, ok := v.again(err)
		if err := v.refused(&act, err); !ok {
			return err
		}
		page.Problem = text
		return v.showHooks(status, page)
	}
	if page.Secret != "" || page.Tested != nil {
		return v.showHooks(200, page)
	}
	return v.done("webhooks", "saved")
}

func (v *visit) makeHook() error {
	return v.onHook(people.Act{What: "webhook_made", Detail: strings.TrimSpace(v.form("url"))}, func() (page hooksPage, err error) {
		page.URL = v.form("url")
		w, err := v.readHook()
		if err != nil {
			return page, err
		}
		e, err := v.s.sw.Outbox().MakeEndpoint(v.account, &w)
		if err == nil {
			page = hooksPage{Secret: e.Secrets[0].Secret}
		}
		return page, err
	})
}

// hook is the endpoint of the path, when it is the account's.
func (v *visit) hook() (*payswitch.Endpoint, error) {
	id, err := v.target(payswitch.EndpointPrefix)
	if err != nil {
		return nil, err
	}
	return v.s.sw.Outbox().EndpointOf(v.account, id)
}

// changeHook does one act to the endpoint of the path.
func (v *visit) changeHook(what string, do func(*payswitch.Endpoint) (hooksPage, error)) error {
	e, err := v.hook()
	if err != nil {
		return err
	}
	return v.onHook(people.Act{What: what, Object: e.ID.Text(payswitch.EndpointPrefix), Detail: e.URL}, func() (hooksPage, error) { return do(e) })
}

func (v *visit) saveHook() error {
	return v.changeHook("webhook_changed", func(e *payswitch.Endpoint) (page hooksPage, err error) {
		w, err := v.readHook()
		if err == nil {
			enabled := v.form("enabled") == "1"
			w.Enabled = &enabled
			_, err = v.s.sw.Outbox().ChangeEndpoint(v.account, e.ID, &w)
		}
		return page, err
	})
}

func (v *visit) rollHook() error {
	return v.changeHook("webhook_rolled", func(e *payswitch.Endpoint) (page hooksPage, err error) {
		fresh, err := v.s.sw.Outbox().RotateSecret(v.account, e.ID, hookOverlap)
		if err == nil {
			page.Secret = fresh.Secrets[0].Secret
		}
		return page, err
	})
}

func (v *visit) dropHook() error {
	return v.changeHook("webhook_deleted", func(e *payswitch.Endpoint) (page hooksPage, err error) {
		if v.form("sure") != "1" {
			return page, &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: "/sure", Detail: "Tick the box to confirm."}
		}
		return page, v.s.sw.Outbox().DeleteEndpoint(v.account, e.ID)
	})
}

// testHook sends a test message now, and shows what the shop's server said.
func (v *visit) testHook() error {
	return v.changeHook("webhook_tested", func(e *payswitch.Endpoint) (page hooksPage, err error) {
		a, err := v.s.o.TestEndpoint(e)
		if err == nil {
			page.Tested, page.TestedURL = &a, e.URL
		}
		return page, err
	})
}

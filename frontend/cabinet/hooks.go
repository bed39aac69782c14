package cabinet

import (
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// hooksPage shows endpoints and the newest events.
type hooksPage struct {
	Hooks     []hookRow
	Types     []string // for a new endpoint
	Chosen    []string
	URL       string // as typed
	Events    []payswitch.Event
	Next      string
	Secret    string             // of the endpoint just made, or rolled
	Tested    *payswitch.Attempt // what came of a test message
	TestedURL string
	Problem   string
}

// hookRow is an endpoint with all that it could be told of.
type hookRow struct {
	Endpoint *payswitch.Endpoint
	Types    []string
	Chosen   []string
}

func (v *visit) listWebhooks() error { return v.showHooks(200, hooksPage{}) }

func (v *visit) showHooks(status int, page hooksPage) error {
	cursor, err := v.cursor()
	if err != nil {
		return err
	}
	out := v.s.sw.Outbox()
	got, err := out.Events(v.account, payswitch.EventQuery{Limit: pageSize, Cursor: cursor})
	if err != nil {
		return err
	}
	page.Events, page.Types, page.Chosen = got.Events, hookTypes(nil), []string{"*"}
	for _, e := range out.EndpointsOf(v.account) {
		page.Hooks = append(page.Hooks, hookRow{e, hookTypes(e), e.Types})
	}
	if got.More {
		page.Next = got.Next.Text("cur")
	}
	v.render(status, "webhooks", page)
	return nil
}

// eventPage shows an event and every attempt to deliver it.
type eventPage struct {
	Event      payswitch.Event
	Deliveries []payswitch.Attempt
	Endpoints  []*payswitch.Endpoint
}

// EndpointURL is where an attempt went.
func (e eventPage) EndpointURL(id payswitch.ID) string {
	for _, known := range e.Endpoints {
		if known.ID == id {
			return known.URL
		}
	}
	return id.Text(payswitch.EndpointPrefix)
}

func (v *visit) showEvent() error {
	id, err := v.target(payswitch.EventPrefix)
	if err != nil {
		return err
	}
	out := v.s.sw.Outbox()
	page := eventPage{Endpoints: out.EndpointsOf(v.account)}
	if page.Event, err = out.Event(v.account, id); err != nil {
		return err
	}
	if page.Deliveries, err = out.Deliveries(v.account, id); err != nil {
		return err
	}
	return v.show("event", page)
}

func (v *visit) resendEvent() error {
	id, err := v.target(payswitch.EventPrefix)
	if err != nil {
		return err
	}
	endpoint := payswitch.ID{}
	if text := v.form("endpoint"); text != "" {
		if endpoint, err = payswitch.ParseID(payswitch.EndpointPrefix, text); err != nil {
			return errNoPage
		}
	}
	out := v.s.sw.Outbox()
	e, err := out.Event(v.account, id)
	if err != nil {
		return err
	}
	name := id.Text(payswitch.EventPrefix)
	act := people.Act{What: "event_resent", Object: name, Payment: e.Payment.ID}
	if err := v.record(&act); err != nil {
		return err
	}
	if _, err := out.Resend(v.account, id, endpoint); err != nil {
		return v.refused(&act, err)
	}
	return v.done("events/"+name, "resent")
}

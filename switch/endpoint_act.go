package payswitch

import "time"

// EndpointStanding is an endpoint as operators see it.
type EndpointStanding struct {
	Endpoint *Endpoint
	Oldest   ID // of the events it is owed; zero: none
}

// Standings are all endpoints of all accounts, the oldest first. Errors are
// refusals.
func (o *Outbox) Standings() (list []EndpointStanding, err error) {
	for _, e := range o.Endpoints() {
		s := EndpointStanding{Endpoint: e}
		if s.Oldest, err = o.Oldest(e.ID, ID{}); err != nil {
			return nil, errInternal
		}
		list = append(list, s)
	}
	return list, nil
}

// EnableEndpoint enables or disables any account's endpoint for an operator.
// Errors are refusals.
func (o *Outbox) EnableEndpoint(id ID, enabled bool, act Act) error {
	if err := act.Validate(); err != nil {
		return err
	}
	_, err := o.change(id, func(e *Endpoint) error {
		e.grantEnabled(enabled, "by_operator")
		return nil
	})
	if err == nil {
		o.s.log.Warn("operator changed a webhook endpoint", "endpoint", id.Text(EndpointPrefix), "enabled", enabled, "operator", act.Operator, "reason", act.Reason)
	}
	return err
}

// ReplayFor is Replay for an operator, to any account's endpoint.
func (o *Outbox) ReplayFor(id ID, from, to time.Time, act Act) (Replayed, error) {
	if err := act.Validate(); err != nil {
		return Replayed{}, err
	}
	e := o.Endpoint(id)
	if e == nil {
		return Replayed{}, errNoEndpoint
	}
	a, err := o.s.AccountOf(e.Merchant, e.Live)
	if err != nil {
		return Replayed{}, err
	}
	done, err := o.Replay(a, id, from, to)
	o.s.log.Warn("operator replayed events", "endpoint", id.Text(EndpointPrefix), "from", from, "to", to, "events", done.Events, "error", err,
		"operator", act.Operator, "reason", act.Reason)
	return done, err
}

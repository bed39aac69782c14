package payswitch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tranzit/tranzit/acquirers"
)

// keyChangeTimeout bounds all steps of a change of keys that an operator started.
const keyChangeTimeout = time.Minute

// ChangeKeys starts a change of the keys of a bank's line and waits for its end,
// a minute at most. Payments go on. Errors are refusals; after one the keys
// before it stay in use.
func (s *Switch) ChangeKeys(bankID string, act Act) error {
	if err := act.Validate(); err != nil {
		return err
	}
	b := s.banks[bankID]
	if b == nil {
		return &Refusal{Code: CodeNotFound, Detail: fmt.Sprintf("There is no bank %q.", bankID)}
	}
	ctx, cancel := context.WithTimeout(context.Background(), keyChangeTimeout)
	defer cancel()
	err := b.link.ChangeKeys(ctx)
	s.log.Warn("operator changed the keys of a bank's line", "bank", bankID, "operator", act.Operator, "reason", act.Reason, "done", err == nil)
	switch {
	case errors.Is(err, acquirers.ErrNoKeyChange):
		return &Refusal{Code: CodeInvalidState, Detail: "The bank's dialect has no change of keys that the switch starts."}
	case err != nil:
		return &Refusal{Code: CodeInvalidState, Detail: "The bank did not go through with the change; the keys before it stay in use. The log and the alarm key_change say why."}
	}
	return nil
}

package payswitch

import (
	"fmt"

	"github.com/tranzit/tranzit/acquirers"
)

// BankFrames is a bank's flight recorder: the latest frames of its links,
// oldest first, without card data. Goroutine-safe.
func (s *Switch) BankFrames(bankID string) ([]acquirers.Frame, error) {
	b := s.banks[bankID]
	if b == nil {
		return nil, &Refusal{Code: CodeNotFound, Detail: fmt.Sprintf("There is no bank %q.", bankID)}
	}
	return b.link.Frames(), nil
}

package payswitch

import (
	"errors"
	"strings"
)

// Scope is a set of what an API key may do. The bits are stored: never reuse
// one.
type Scope uint64

// The scopes. Reading and writing are apart everywhere; no scope holds another.
const (
	ScopePaymentsRead   Scope = 1 << iota // payments, their refunds and timelines, results of a period
	ScopePaymentsWrite                    // new payments, captures, cancels
	ScopeRefundsWrite                     // refunds
	ScopePayoutsWrite                     // credits without a payment before
	ScopeTokensRead                       // saved cards
	ScopeTokensWrite                      //
	ScopeSchedulesRead                    // recurring payments
	ScopeSchedulesWrite                   //
	ScopeWebhooksRead                     // endpoints of notifications
	ScopeWebhooksWrite                    //
	ScopeEventsRead                       // events and their deliveries
	ScopeBatchesRead                      // batches of operations
	ScopeBatchesWrite                     // a row needs no scope of its own beside it
	ScopeKeysRead                         // API keys
	ScopeKeysWrite                        //
	ScopeCheckoutRead                     // checkout sessions
	ScopeCheckoutWrite                    //
	ScopePagesRead                        // templates of the payment page
	ScopePagesWrite                       //
	scopeEnd
)

var scopeNames = [...]string{
	"payments:read", "payments:write", "refunds:write", "payouts:write", "tokens:read", "tokens:write", "schedules:read", "schedules:write",
	"webhooks:read", "webhooks:write", "events:read", "batches:read", "batches:write", "keys:read", "keys:write",
	"checkout:read", "checkout:write", "pages:read", "pages:write",
}

// Words are the scopes of the set in a fixed order. The empty set has none.
func (s Scope) Words() (words []string) {
	for i, name := range scopeNames {
		if s&(1<<i) != 0 {
			words = append(words, name)
		}
	}
	return words
}

// ScopeWords are all scopes there are.
func ScopeWords() []string { return (scopeEnd - 1).Words() }

// ParseScopes is the inverse of Words. Its error lists the scopes and never quotes.
func ParseScopes(words []string) (s Scope, err error) {
	for _, word := range words {
		bit := scopeOf(word)
		if bit == 0 {
			return 0, errors.New("there is no such scope; there are " + strings.Join(scopeNames[:], ", "))
		}
		s |= bit
	}
	return s, nil
}

func scopeOf(word string) Scope {
	for i, name := range scopeNames {
		if name == word {
			return 1 << i
		}
	}
	return 0
}

// May reports whether the account's key has a scope. What asks for no scope at
// all is for keys without restriction only.
func (a Account) May(need Scope) bool {
	return a.Key == nil || a.Key.Scopes == 0 || need != 0 && a.Key.Scopes&need == need
}

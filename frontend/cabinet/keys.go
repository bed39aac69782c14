package cabinet

import (
	"strings"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// keysPage lists API keys; Secret is of the one just made.
type keysPage struct {
	Keys    []payswitch.KeyView
	Scopes  []string
	Secret  string
	Problem string
}

func (v *visit) listKeys() error { return v.showKeys(200, keysPage{}) }

func (v *visit) showKeys(status int, page keysPage) error {
	page.Scopes = payswitch.ScopeWords()
	for _, k := range v.s.sw.APIKeys(v.account) {
		page.Keys = append(page.Keys, k.View(time.Now()))
	}
	v.render(status, "keys", page)
	return nil
}

// by is the user as the switch writes operators down.
func (v *visit) by() payswitch.Act {
	name := v.session.User.Email
	if len(name) > 64 {
		name = name[:64]
	}
	return payswitch.Act{Operator: name, Reason: "in the cabinet"}
}

func (v *visit) makeKey() error {
	wish := payswitch.KeyWish{Name: strings.TrimSpace(v.form("name")), Scopes: v.said["scope"]}
	if v.form("all") == "1" {
		wish.Scopes = []string{payswitch.AllScopes}
	}
	access, err := wish.Access()
	if err == nil {
		act := people.Act{What: "key_created", Detail: wish.Name + ": " + strings.Join(wish.Scopes, " ")}
		if err := v.record(&act); err != nil {
			return err
		}
		var k payswitch.IssuedKey
		if k, err = v.s.sw.IssueKey(v.account, access, v.by()); err == nil {
			return v.showKeys(200, keysPage{Secret: k.Secret})
		}
		err = v.refused(&act, err)
	}
	return v.badKey(err)
}

func (v *visit) badKey(err error) error {
	text, status, ok := v.again(err)
	if !ok {
		return err
	}
	return v.showKeys(status, keysPage{Problem: text})
}

// changeKey writes down what is done to the key of the path, and does it.
func (v *visit) changeKey(what string, do func(payswitch.ID) (keysPage, error)) error {
	id, err := v.target(payswitch.APIKeyPrefix)
	if err != nil {
		return err
	}
	if _, err := v.s.sw.APIKey(v.account, id); err != nil {
		return err
	}
	act := people.Act{What: what, Object: id.Text(payswitch.APIKeyPrefix)}
	if err := v.record(&act); err != nil {
		return err
	}
	page, err := do(id)
	if err != nil {
		return v.badKey(v.refused(&act, err))
	}
	return v.showKeys(200, page)
}

func (v *visit) rollKey() error {
	return v.changeKey("key_rolled", func(id payswitch.ID) (keysPage, error) {
		k, err := v.s.sw.RollKey(v.account, id, payswitch.DefaultKeyGrace, v.by())
		return keysPage{Secret: k.Secret}, err
	})
}

func (v *visit) revokeKey() error {
	return v.changeKey("key_revoked", func(id payswitch.ID) (keysPage, error) {
		_, err := v.s.sw.RevokeKey(v.account, id, v.by())
		return keysPage{}, err
	})
}

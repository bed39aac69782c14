package people

import (
	"encoding/json"

	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// ViewPrefix is the TypeID prefix of a saved view.
const ViewPrefix = "view"

// MaxViews bounds the views of one user at one account.
const MaxViews = 50

const maxViewQuery = 1000

// View is a filter of the payment list that a user gave a name.
type View struct {
	ID    payswitch.ID `json:"-"`
	Name  string       `json:"name"`
	Query string       `json:"query"` // of the list's address
}

// Views of a user at an account, in the order they were saved. Errors are refusals.
func (p *People) Views(user payswitch.ID, merchant string, live bool) (views []View, err error) {
	prefix := key(peopleView, user[:], accountDigest(merchant, live))
	var bad error
	err = p.store.Scan(storage.Range{Space: spacePeople, Prefix: prefix}, func(name, body []byte) bool {
		v := View{ID: payswitch.ID(name[len(prefix):])}
		bad = json.Unmarshal(body, &v)
		views = append(views, v)
		return bad == nil && len(views) < MaxViews
	})
	if err != nil || bad != nil {
		return nil, errInternal
	}
	return views, nil
}

// SaveView keeps a view, in place of the user's one of the same name. Errors are refusals.
func (p *People) SaveView(user payswitch.ID, merchant string, live bool, v View) error {
	name, err := cleanLine("/name", v.Name, 60)
	switch {
	case err != nil:
		return err
	case name == "":
		return invalid("/name", "A view has a name.")
	case len(v.Query) > maxViewQuery:
		return invalid("/query", "The filter is too long.")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	there, err := p.Views(user, merchant, live)
	if err != nil {
		return err
	}
	v.ID, v.Name = p.freshID(), name
	for _, old := range there {
		if old.Name == name {
			v.ID = old.ID
		}
	}
	if len(there) >= MaxViews {
		return refusal(payswitch.CodeInvalidState, "", "%d views are as many as may be kept.", MaxViews)
	}
	var c storage.Command
	if err := set(&c, spacePeople, key(peopleView, user[:], accountDigest(merchant, live), v.ID[:]), &v); err != nil {
		return err
	}
	return p.do(&c)
}

// DropView forgets a view; one that is not there is no error.
func (p *People) DropView(user payswitch.ID, merchant string, live bool, id payswitch.ID) error {
	var c storage.Command
	c.Delete(spacePeople, key(peopleView, user[:], accountDigest(merchant, live), id[:]))
	return p.do(&c)
}

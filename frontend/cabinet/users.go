package cabinet

import (
	"strings"
	"time"

	"github.com/tranzit/tranzit/switch/people"
)

// usersPage lists the people of an account; Link is for the one just invited.
type usersPage struct {
	Users   []userRow
	Roles   []people.Role
	Link    string
	LinkFor string
	Email   string
	Problem string
}

type userRow struct {
	User people.User
	Role people.Role
	Me   bool
	Mine bool // every right of the user is the visitor's to give
}

func (v *visit) listUsers() error { return v.showUsers(200, usersPage{}) }

func (v *visit) showUsers(status int, page usersPage) error {
	users, err := v.s.people.UsersOf(v.account.Merchant.ID)
	if err != nil {
		return err
	}
	page.Roles = people.Roles()
	for _, u := range users {
		if role := u.RoleAt(v.account.Merchant.ID, v.account.Live); role != "" {
			page.Users = append(page.Users, userRow{User: u, Role: role, Me: u.ID == v.session.User.ID, Mine: v.session.User.Controls(&u)})
		}
	}
	v.render(status, "users", page)
	return nil
}

func (v *visit) badUsers(page usersPage, err error) error {
	text, status, ok := v.again(err)
	if !ok {
		return err
	}
	page.Problem = text
	return v.showUsers(status, page)
}

// inviteUser gives somebody a role here, and, when the person is new, a link to hand
// over.
func (v *visit) inviteUser() error {
	grant := people.Grant{Merchant: v.account.Merchant.ID, Live: v.account.Live, Role: people.Role(v.form("role"))}
	page := usersPage{Email: strings.TrimSpace(v.form("email"))}
	act := people.Act{What: "user_invited", Object: page.Email, Detail: string(grant.Role)}
	if err := v.record(&act); err != nil {
		return err
	}
	u, word, err := v.s.people.Invite(people.Invitation{Email: page.Email, Grants: []people.Grant{grant}, By: v.session.User.Email, Owner: &v.session.User})
	if err != nil {
		return v.badUsers(page, v.refused(&act, err))
	}
	if word == "" {
		return v.done("users", "saved")
	}
	return v.showUsers(200, usersPage{Link: v.s.o.URL + "/join/" + word, LinkFor: u.Email})
}

// colleague is the user of the path, when the user is of this account.
func (v *visit) colleague() (people.User, error) {
	id, err := v.target(people.UserPrefix)
	if err != nil {
		return people.User{}, err
	}
	u, err := v.s.people.User(id)
	if err == nil && u.RoleAt(v.account.Merchant.ID, v.account.Live) == "" {
		err = errNoPage
	}
	return u, err
}

func (v *visit) changeRole() error {
	u, err := v.colleague()
	if err != nil {
		return err
	}
	role := people.Role(v.form("role"))
	if role == "none" {
		role = ""
	}
	act := people.Act{What: "user_changed", Object: u.Email, Detail: v.form("role")}
	if err := v.record(&act); err != nil {
		return err
	}
	if _, err := v.s.people.Regrant(u.ID, people.Grant{Merchant: v.account.Merchant.ID, Live: v.account.Live, Role: role}); err != nil {
		return v.badUsers(usersPage{}, v.refused(&act, err))
	}
	if u.ID == v.session.User.ID {
		v.redirect("/")
		return nil
	}
	return v.done("users", "saved")
}

func (v *visit) resetUser() error {
	u, err := v.colleague()
	if err != nil {
		return err
	}
	act := people.Act{What: "user_reset", Object: u.Email}
	if err := v.record(&act); err != nil {
		return err
	}
	word, err := v.s.people.Reset(u.ID, &v.session.User)
	if err != nil {
		return v.refused(&act, err)
	}
	return v.showUsers(200, usersPage{Link: v.s.o.URL + "/join/" + word, LinkFor: u.Email})
}

// actsPage is the search of what people did.
type actsPage struct {
	Acts           []people.Act
	Text, From, To string
	Next           string
	Problem        string
}

func (v *visit) listActs() error {
	q := v.r.URL.Query()
	page := actsPage{Text: q.Get("q"), From: q.Get("from"), To: q.Get("to")}
	query := people.ActQuery{Merchant: v.account.Merchant.ID, Live: v.account.Live, Text: page.Text, Limit: 50}
	var err error
	if query.Cursor, err = v.cursor(); err != nil {
		return err
	}
	day := func(text string, later int) (t time.Time) {
		if text == "" {
			return t
		}
		t, err = time.ParseInLocation(time.DateOnly, text, v.account.Merchant.TimeZone)
		if err != nil {
			page.Problem = words(v.lang, "problem.day")
		}
		return t.AddDate(0, 0, later)
	}
	if query.From, query.To = day(page.From, 0), day(page.To, 1); page.Problem != "" {
		v.render(422, "audit", page)
		return nil
	}
	got, err := v.s.people.Acts(query)
	if err != nil {
		return err
	}
	page.Acts = got.Acts
	if got.More {
		page.Next = got.Next.Text("cur")
	}
	return v.show("audit", page)
}

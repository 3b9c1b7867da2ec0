package syncserver

import (
	"errors"
	"net/http"
	"time"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
)

type memberJSON struct {
	UserID    blocks.UserID `json:"user_id"`
	PublicKey string        `json:"public_key"`
	Name      string        `json:"name"`
	Role      string        `json:"role"`
	Since     int64         `json:"since"`
}

type membersAnswer struct {
	Members []memberJSON `json:"members"`
}

func heapOf(r *http.Request) (blocks.HeapID, error) {
	id, err := blocks.ParseHeapID(r.PathValue("id"))
	if err != nil {
		return "", blocks.ErrNotFound
	}
	return id, nil
}

func (s *Server) members(w http.ResponseWriter, r *http.Request) error {
	heap, err := heapOf(r)
	if err != nil {
		return err
	}
	list, err := s.Blocks.Members(r.Context(), userOf(r), heap)
	if err != nil {
		return err
	}
	answer := membersAnswer{Members: make([]memberJSON, len(list))}
	for i, m := range list {
		answer.Members[i] = memberJSON{UserID: m.User, Role: m.Role.String(), Since: m.Since}
		a, err := s.Auth.Account(r.Context(), auth.AccountID(m.User))
		switch {
		case err == nil:
			answer.Members[i].PublicKey, answer.Members[i].Name = a.PublicKey.String(), a.Name
		case !errors.Is(err, auth.ErrNotFound): // else the account is deleted
			return err
		}
	}
	return writeJSON(w, answer)
}

type shareRequest struct {
	PublicKey string `json:"public_key"`
	Role      string `json:"role" doc:"editor, commenter or viewer"`
}

func (s *Server) share(w http.ResponseWriter, r *http.Request) error {
	heap, err := heapOf(r)
	if err != nil {
		return err
	}
	var req shareRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	role, err := blocks.ParseRole(req.Role)
	if err != nil {
		return badField("role", "must be editor, commenter or viewer")
	}
	// Who may not share must not learn which keys have accounts.
	if err := s.Blocks.Require(r.Context(), userOf(r), heap, blocks.RoleOwner); err != nil {
		return err
	}
	key, err := auth.ParsePublicKey(req.PublicKey)
	if err != nil {
		return err
	}
	account, err := s.Auth.AccountByKey(r.Context(), key)
	if errors.Is(err, auth.ErrNotFound) {
		return newProblem(404, "not_found", "no account here has this key; make an invitation for it")
	}
	if err != nil {
		return err
	}
	if err := s.Blocks.Share(r.Context(), userOf(r), heap, blocks.UserID(account.ID), role); err != nil {
		return err
	}
	return done(w)
}

func (s *Server) leave(w http.ResponseWriter, r *http.Request) error {
	heap, err := heapOf(r)
	if err != nil {
		return err
	}
	if err := s.Blocks.Leave(r.Context(), userOf(r), heap, blocks.UserID(r.PathValue("user_id"))); err != nil {
		return err
	}
	return done(w)
}

type transferRequest struct {
	UserID blocks.UserID `json:"user_id" doc:"a member, who becomes the owner"`
}

func (s *Server) transfer(w http.ResponseWriter, r *http.Request) error {
	heap, err := heapOf(r)
	if err != nil {
		return err
	}
	var req transferRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	if req.UserID == "" {
		return badField("user_id", "must name a member")
	}
	if err := s.Blocks.Transfer(r.Context(), userOf(r), heap, req.UserID); err != nil {
		return err
	}
	return done(w)
}

type inviteRequest struct {
	Role      string `json:"role" doc:"editor, commenter or viewer"`
	PublicKey string `json:"public_key,omitempty" doc:"the only key that may use it"`
	ExpiresIn *int64 `json:"expires_in,omitempty" doc:"seconds; 7 days if not given"`
	MaxUses   *int64 `json:"max_uses,omitempty" doc:"how many may use it; any number if not given"`
}

type inviteAnswer struct {
	ID        string `json:"id"`
	Code      string `json:"code" doc:"told this once"`
	URL       string `json:"url"`
	ExpiresAt int64  `json:"expires_at"`
}

func (s *Server) invite(w http.ResponseWriter, r *http.Request) error {
	heap, err := heapOf(r)
	if err != nil {
		return err
	}
	var req inviteRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	inv := blocks.Invite{Heap: heap}
	if inv.Role, err = blocks.ParseRole(req.Role); err != nil || inv.Role == blocks.RoleOwner {
		return badField("role", "must be editor, commenter or viewer")
	}
	if req.PublicKey != "" {
		key, err := auth.ParsePublicKey(req.PublicKey)
		if err != nil {
			return err
		}
		inv.PublicKey = key.String()
	}
	var ttl time.Duration
	if req.ExpiresIn != nil {
		if *req.ExpiresIn < 1 || *req.ExpiresIn > int64(blocks.InviteLongest/time.Second) {
			return badField("expires_in", "must be 1 second to 365 days")
		}
		ttl = time.Duration(*req.ExpiresIn) * time.Second
	}
	if req.MaxUses != nil {
		if inv.MaxUses = *req.MaxUses; inv.MaxUses < 1 {
			return badField("max_uses", "must be 1 or more")
		}
	}
	made, code, err := s.Blocks.Invite(r.Context(), userOf(r), inv, ttl)
	if err != nil {
		return err
	}
	return writeJSONStatus(w, http.StatusCreated, inviteAnswer{made.ID, code, s.PublicURL + "/invite/" + code, made.ExpiresAt})
}

type inviteJSON struct {
	ID        string        `json:"id"`
	Role      string        `json:"role"`
	PublicKey *string       `json:"public_key"`
	CreatedBy blocks.UserID `json:"created_by"`
	CreatedAt int64         `json:"created_at"`
	ExpiresAt int64         `json:"expires_at"`
	MaxUses   *int64        `json:"max_uses"`
	Uses      int64         `json:"uses"`
}

type invitesAnswer struct {
	Invites []inviteJSON `json:"invites"`
}

func (s *Server) invites(w http.ResponseWriter, r *http.Request) error {
	heap, err := heapOf(r)
	if err != nil {
		return err
	}
	list, err := s.Blocks.Invites(r.Context(), userOf(r), heap)
	if err != nil {
		return err
	}
	answer := invitesAnswer{Invites: make([]inviteJSON, len(list))}
	for i, inv := range list {
		answer.Invites[i] = inviteJSON{
			ID: inv.ID, Role: inv.Role.String(), PublicKey: orNull(inv.PublicKey), CreatedBy: inv.By,
			CreatedAt: inv.CreatedAt, ExpiresAt: inv.ExpiresAt, MaxUses: orNull(inv.MaxUses), Uses: inv.Uses,
		}
	}
	return writeJSON(w, answer)
}

func (s *Server) deleteInvite(w http.ResponseWriter, r *http.Request) error {
	heap, err := heapOf(r)
	if err != nil {
		return err
	}
	if err := s.Blocks.TakeBack(r.Context(), userOf(r), heap, r.PathValue("invite_id")); err != nil {
		return err
	}
	return done(w)
}

// acceptInvite answers with the heap that the caller is a member of now.
func (s *Server) acceptInvite(w http.ResponseWriter, r *http.Request) error {
	id, _ := identityOf(r)
	h, err := s.Blocks.Accept(r.Context(), userOf(r), id.Account.PublicKey.String(), r.PathValue("code"))
	if err != nil {
		return err
	}
	return writeJSON(w, toHeapJSON(h))
}

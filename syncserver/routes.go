package syncserver

import (
	"net/http"
	"slices"
	"strings"
)

// handler answers one request. An error it returns becomes a problem; it must
// not have written anything then.
type handler func(w http.ResponseWriter, r *http.Request) error

// access says who may call a route.
type access uint8

const (
	public   access = iota // anyone; no token is looked at
	optional               // anyone; a token, if given, must be good
	member                 // an active account
	admin                  // an administrator; for others the route does not exist
	socket                 // a websocket, which checks tokens itself
	media                  // an active account, whose token may stand in the address; or a file ticket
)

type route struct {
	pattern string
	access  access
	handle  handler
	maxBody int64 // bytes; 0: smallBody; or streamBody
	about   about
}

const (
	smallBody = 1 << 20
	// authBody is ample for a challenge and a signature.
	authBody = 64 << 10
	// streamBody is for a body that the handler reads bit by bit, and bounds.
	streamBody = -1
	// pictureBody is a client's picture and the rest of its form.
	pictureBody = 1<<20 + 64<<10
	// pushBody is the 32 MiB that a push may have.
	pushBody = 32 << 20
)

// routes is every route, in the order of the API contract.
func (s *Server) routes() []route {
	return []route{
		// Instance
		{"GET /api/{$}", optional, s.instance, 0,
			about{"What this server is and can do", nil, nil, instanceJSON{}}},
		{"GET /api", optional, s.instance, 0,
			about{"The same as /api/", nil, nil, instanceJSON{}}},
		{"GET /api/health", public, s.health, 0,
			about{"How the server and its parts do; 503 when one is down", []string{"diagnostics"}, nil, healthJSON{}}},
		{"GET /sync/health", public, s.syncHealth, 0,
			about{"How syncing does; 503 when commits stall", nil, nil, syncHealthJSON{}}},
		{"GET /metrics", public, s.serveMetrics, 0,
			about{"Numbers for Prometheus; with a bearer token, if the server was given one", nil, nil, nil}},
		{"GET /api/openapi.json", public, s.describe, 0,
			about{"This description", nil, nil, nil}},
		{"GET /api/docs", public, s.docs, 0,
			about{"A page that shows this description", nil, nil, nil}},
		{"GET /api/docs/{file}", public, s.docs, 0, about{}},

		// Auth and session
		{"POST /api/auth/create_session", public, s.createSession, authBody,
			about{"Ask for a challenge to sign", nil, challengeRequest{}, challengeAnswer{}}},
		{"POST /api/auth/verify_session", public, s.verifySession, authBody,
			about{"Log in with the signed challenge", nil, loginRequest{}, sessionAnswer{}}},
		{"POST /api/auth/verify_key", public, s.verifyKey, authBody,
			about{"Log in with the signed challenge, the signature in signed_message", nil, loginRequest{}, keyAnswer{}}},
		{"POST /api/auth/refresh_token", public, s.refreshToken, authBody,
			about{"Trade a refresh token, in the body or as bearer, for a new pair", nil, refreshRequest{}, refreshAnswer{}}},
		{"POST /api/auth/logout", member, s.logout, 0,
			about{"End this session", nil, nil, doneAnswer{}}},
		{"GET /api/auth/sessions", member, s.sessions, 0,
			about{"List the devices that are logged in", nil, nil, sessionsAnswer{}}},
		{"DELETE /api/auth/sessions/{id}", member, s.revokeSession, 0,
			about{"Log a device out", nil, nil, doneAnswer{}}},
		{"POST /api/me", member, s.me, 0,
			about{"The same as GET", nil, nil, meAnswer{}}},
		{"GET /api/me", member, s.me, 0,
			about{"Who I am, what I use and may use", nil, nil, meAnswer{}}},
		{"PATCH /api/me", member, s.setProfile, 0,
			about{"Change my name or e-mail address", nil, profileRequest{}, meAnswer{}}},

		// Administration
		{"GET /api/admin/users", admin, s.adminUsers, 0,
			about{"List the accounts", []string{"cursor", "limit"}, nil, accountsPage{}}},
		{"POST /api/admin/users/{id}/{action}", admin, s.adminChangeUser, 0,
			about{"Change an account: approve, block, promote or demote", nil, nil, accountAnswer{}}},
		{"DELETE /api/admin/users/{id}", admin, s.adminDeleteUser, 0,
			about{"Delete an account", nil, nil, doneAnswer{}}},
		{"GET /api/admin/users/{id}/sessions", admin, s.adminSessions, 0,
			about{"List the devices that an account is logged in on", nil, nil, sessionsAnswer{}}},
		{"DELETE /api/admin/users/{id}/sessions/{session}", admin, s.adminEndSession, 0,
			about{"Log a device of an account out", nil, nil, doneAnswer{}}},
		{"GET /api/admin/heaps/deleted", admin, s.adminDeletedHeaps, 0,
			about{"List the deleted heaps that can be brought back", nil, nil, deletedHeapsAnswer{}}},
		{"POST /api/admin/heaps/{id}/restore", admin, s.adminUndeleteHeap, 0,
			about{"Bring a deleted heap back", nil, nil, doneAnswer{}}},
		{"GET /api/admin/settings", admin, s.adminSettings, 0,
			about{"Read the settings", nil, nil, settingsJSON{}}},
		{"PUT /api/admin/settings", admin, s.putAdminSettings, 0,
			about{"Change the settings that the body names", nil, settingsChange{}, settingsJSON{}}},
		{"GET /api/admin/stats", admin, s.adminStats, 0,
			about{"Count what there is and happens", nil, nil, statsJSON{}}},
		{"GET /api/admin/problems", admin, s.adminProblems, 0,
			about{"List blocks that cannot be read and files without the picture they should have, at most 100 of each", nil, nil, problemsAnswer{}}},
		{"GET /api/admin/audit", admin, s.adminAudit, 0,
			about{"List what concerned accounts and sessions, the newest first", []string{"cursor", "limit"}, nil, eventsPage{}}},

		// Sync
		{"POST /api/sync/push", member, s.push, pushBody,
			about{"Store updates; each is on disk when the answer comes", nil, syncItems{}, pushAnswer{}}},
		{"POST /api/sync/pull", member, s.pull, pushBody,
			about{"Get what the client lacks of blocks", nil, syncItems{}, pullAnswer{}}},
		{"GET /api/sync/delta", member, s.delta, 0,
			about{"List the blocks of a heap that have changed", []string{"workspace_id", "heap_id", "cursor", "since", "limit"}, nil, deltaAnswer{}}},
		{"GET /ws", socket, s.websocket, 0,
			about{"Websocket: the Hocuspocus protocol, many blocks on one socket, and JSON events", []string{"token"}, nil, nil}},
		{"GET /ws/{heap}/{block}", socket, s.websocket, 0,
			about{"Websocket: the y-websocket protocol, one block", []string{"token"}, nil, nil}},

		{"GET /api/ws", socket, s.scanFeed, 0,
			about{"Websocket, deprecated: how scans of my heaps go on, as JSON", []string{"token"}, nil, nil}},

		// Heaps
		{"POST /api/heaps", member, s.heaps, 0,
			about{"List my heaps", nil, nil, heapsAnswer{}}},
		{"POST /api/workspaces", member, s.workspaces, 0,
			about{"List my heaps", nil, nil, workspacesAnswer{}}},
		{"POST /api/heap/add", member, s.addHeap, 0,
			about{"Create a heap; to create one of mine again changes nothing", nil, addHeapRequest{}, heapJSON{}}},
		{"PATCH /api/heap/{id}", member, s.renameHeap, 0,
			about{"Give a heap of mine another name", nil, renameRequest{}, heapJSON{}}},
		{"GET /api/heap/{id}/members", member, s.members, 0,
			about{"List who is in a heap", nil, nil, membersAnswer{}}},
		{"POST /api/heap/{id}/members", member, s.share, 0,
			about{"Make an account a member, or change a member's role", nil, shareRequest{}, doneAnswer{}}},
		{"DELETE /api/heap/{id}/members/{user_id}", member, s.leave, 0,
			about{"End a membership: the owner anybody's, everybody their own", nil, nil, doneAnswer{}}},
		{"POST /api/heap/{id}/transfer", member, s.transfer, 0,
			about{"Make a member the owner; the owner becomes an editor", nil, transferRequest{}, doneAnswer{}}},
		{"POST /api/heap/{id}/invites", member, s.invite, 0,
			about{"Make an invitation", nil, inviteRequest{}, inviteAnswer{}}},
		{"GET /api/heap/{id}/invites", member, s.invites, 0,
			about{"List the invitations that are open", nil, nil, invitesAnswer{}}},
		{"DELETE /api/heap/{id}/invites/{invite_id}", member, s.deleteInvite, 0,
			about{"Take an invitation back", nil, nil, doneAnswer{}}},
		{"POST /api/invites/{code}/accept", member, s.acceptInvite, 0,
			about{"Become a member of a heap by an invitation", nil, nil, heapJSON{}}},
		{"POST /api/heap/digest", member, s.digest, 0,
			about{"Hashes of a heap's blocks as a tree, to find those that have changed", nil, digestRequest{}, digestJSON{}}},
		{"DELETE /api/heap/{id}", member, s.deleteHeap, 0,
			about{"Delete a heap of mine: gone from every list at once, purged after a time of grace", []string{"purge"}, nil, heapDeletedAnswer{}}},
		{"POST /api/heap", member, s.heapContents, 0,
			about{"List a heap's blocks, or search them", nil, contentsRequest{}, contentsAnswer{}}},
		{"POST /api/search", member, s.search, 0,
			about{"Search the blocks of all heaps I can read", nil, searchRequest{}, contentsAnswer{}}},
		{"POST /api/heap_count", member, s.heapCount, 0,
			about{"Count a heap's blocks", nil, filterRequest{}, countsJSON{}}},
		{"GET /api/heap/{stats}/{id}", member, s.heapStats, 0,
			about{"Sum a heap up: blocks, files, bytes, updates by day", nil, nil, heapStatsJSON{}}},
		{"POST /api/heap/changed_blocks", member, s.changedBlocks, 0,
			about{"List the blocks of a heap that have changed, as GET /api/sync/delta does", nil, changesRequest{}, deltaAnswer{}}},
		{"POST /api/heap/{id}/restore", member, s.rewind, 0,
			about{"Take a heap's blocks back to what they were at a moment", nil, rewindRequest{}, rewindAnswer{}}},
		{"GET /api/heap/{id}/export", member, s.exportHeap, 0,
			about{"A heap as a zip archive: every block as Markdown and as its Yjs state", nil, nil, nil}},
		{"POST /api/heap/{id}/import", member, s.importHeap, streamBody,
			about{"Take in an exported heap, or a folder of Markdown files: a zip archive as the body, or as a file of a form", nil, nil, importAnswer{}}},

		// Blocks
		{"POST /api/block/{blockKey}", member, s.block, 0,
			about{"Read a block: what its document says and holds", nil, blockRequest{}, blockAnswer{}}},
		{"POST /api/block_updates/{blockKey}", member, s.blockUpdates, 0,
			about{"List what happened to a block and the versions that can be gone back to", nil, historyRequest{}, historyAnswer{}}},
		{"POST /api/block/{blockKey}/versions", member, s.nameVersion, 0,
			about{"Give the present state of a block a name", nil, nameRequest{}, versionAnswer{}}},
		{"GET /api/block/{blockKey}/versions/{id}", member, s.version, 0,
			about{"Show a block as it was", []string{"heap_id"}, nil, versionContentAnswer{}}},
		{"DELETE /api/block/{blockKey}/versions/{id}", member, s.removeVersion, 0,
			about{"Forget the name of a version", []string{"heap_id"}, nil, doneAnswer{}}},
		{"POST /api/block/{blockKey}/versions/{id}/restore", member, s.restoreVersion, 0,
			about{"Make a block what it was, as an edit like any other", nil, heapRequest{}, restoreAnswer{}}},
		{"DELETE /api/block/{blockKey}", member, s.deleteBlock, 0,
			about{"Put a block into the trash, or with purge=1 delete it for good", []string{"heap_id", "workspace_id", "purge"}, nil, deletedAnswer{}}},
		{"GET /api/trash/{heapId}", member, s.trash, 0,
			about{"List what is in the trash, the longest there first", []string{"cursor", "limit"}, nil, trashAnswer{}}},
		{"DELETE /api/trash/{heapId}", member, s.emptyTrash, 0,
			about{"Delete for good what is in the trash", nil, nil, emptiedAnswer{}}},
		{"POST /api/trash/{heapId}/restore", member, s.restoreTrash, 0,
			about{"Take blocks out of the trash", nil, restoreRequest{}, restoredAnswer{}}},

		// Files
		{"POST /api/upload/init/{heap_id}/{block_id}", member, s.beginUpload, 0,
			about{"Begin to upload a file to a block, or go on; complete at once if I can read the file already", nil, uploadRequest{}, uploadJSON{}}},
		{"PUT /api/upload/chunk/{heap_id}/{block_id}/{hash}/{index}", member, s.putChunk, streamBody,
			about{"Send one chunk, as the raw body; in any order, again, several at once. It is on disk when the answer comes", nil, nil, chunkAnswer{}}},
		{"GET /api/upload/status/{heap_id}/{block_id}/{hash}", member, s.uploadStatus, 0,
			about{"How far an upload is", nil, nil, uploadJSON{}}},
		{"POST /api/upload/complete/{heap_id}/{block_id}/{hash}", member, s.completeUpload, 0,
			about{"Make what was uploaded the block's file; 409 names the chunks that are missing", nil, nil, completeAnswer{}}},
		{"POST /api/upload/file/{heap_id}/{block_id}", member, s.uploadForm, streamBody,
			about{"Upload a whole file in a form, as file, with its hash if that is known", nil, nil, completeAnswer{}}},
		{"GET /api/file/{key}/raw/{slug}", media, s.rawFile, 0,
			about{"A block's file, or ranges of it, also while it is uploaded", []string{"token", "heap_id", "download"}, nil, nil}},
		{"GET /api/stream/{key}/{slug}", media, s.streamFile, 0,
			about{"The same, for players", []string{"token", "heap_id"}, nil, nil}},
		{"POST /api/file/{key}/ticket", member, s.fileTicket, 0,
			about{"A token that opens this one file, for the address that a player gets", []string{"heap_id"}, ticketRequest{}, ticketAnswer{}}},
		{"GET /api/status/file/{heap_id}/{block_id}/{hash}", member, s.fileStatus, 0,
			about{"Whether a block has a file, or it is on its way, and what was made of it", nil, nil, fileStatusAnswer{}}},
		{"GET /api/file/{key}/thumbnail/{size}/{slug}", media, s.thumbnail, 0,
			about{"A small picture of a file: of an image, a video, a song's cover, a document's first page; WebP or JPEG by Accept. 503 while it is made", []string{"token", "heap_id", "v"}, nil, nil}},
		{"GET /api/file/{key}/video_thumbnail/{size}/{position}", media, s.videoThumbnail, 0,
			about{"A picture of a moment of a video: seconds, or per cent as 50p", []string{"token", "heap_id", "v"}, nil, nil}},
		{"GET /api/file/{key}/animated_thumbnail/{size}/{slug}", media, s.animatedThumbnail, 0,
			about{"A small moving picture, an animated WebP, of an animated image or a few seconds of a video", []string{"token", "heap_id", "v"}, nil, nil}},
		{"POST /api/upload/thumbnail/{block_id}/{file_hash}/{thumbnail_key}", member, s.uploadThumbnail, pictureBody,
			about{"Bring a picture of a file of which the server makes none, in a form: thumbnail, type, size", []string{"heap_id"}, nil, pictureAnswer{}}},
		{"GET /api/download/thumbnail/{block_id}/{file_hash}/{thumbnail_type}/{thumbnail_size}", member, s.downloadThumbnail, 0,
			about{"A picture of a file, the server's or else a client's", []string{"heap_id"}, nil, nil}},
		{"POST /api/scan_folder", member, s.scanFolder, 0,
			about{"Make a block of each file of a folder of the server, in place; only below folders that the administrator allowed", nil, scanRequest{}, scanAnswer{}}},
		{"POST /api/abort_scan", member, s.abortScan, 0,
			about{"End a scan; what it has made stays", nil, abortRequest{}, scanAnswer{}}},
		{"GET /api/active_scans", member, s.activeScans, 0,
			about{"List the scans of my heaps that go on or wait for confirmation, the last ones that are over, and the folders that are scanned", nil, nil, scansAnswer{}}},
		{"POST /api/reindex_files", member, s.reindexFiles, 0,
			about{"Look at the files of a heap anew: what they are, and whether they are there; and scan its folders", nil, reindexRequest{}, reindexAnswer{}}},
		{"POST /api/regenerate_file", member, s.regenerateFile, 0,
			about{"Look at a block's file again and make its pictures anew", nil, regenerateRequest{}, regenerateAnswer{}}},
		{"OPTIONS /api/files/{$}", public, s.tusOptions, 0,
			about{"What this server can do of the tus protocol, for resumable uploads", nil, nil, nil}},
		{"OPTIONS /api/files/{id}", public, s.tusOptions, 0,
			about{"The same", nil, nil, nil}},
		{"POST /api/files/{$}", member, s.tus(s.tusCreate), streamBody,
			about{"Begin an upload with tus; heap_id, block_id, filename, filetype and hash are metadata", []string{"heap_id"}, nil, nil}},
		{"HEAD /api/files/{id}", member, s.tus(s.tusHead), 0,
			about{"How far an upload with tus is", nil, nil, nil}},
		{"PATCH /api/files/{id}", member, s.tus(s.tusAppend), streamBody,
			about{"Send what comes next of an upload with tus", nil, nil, nil}},
		{"DELETE /api/files/{id}", member, s.tus(s.tusEnd), 0,
			about{"End an upload with tus", nil, nil, nil}},
		{"POST /api/files/{id}", member, s.tus(s.tusOverride), streamBody,
			about{"The same as the method in X-HTTP-Method-Override", nil, nil, nil}},

		// The web app
		{"/", public, s.app, 0, about{}},
	}
}

func (s *Server) mux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, rt := range s.routes() {
		mux.Handle(rt.pattern, s.serve(rt))
	}
	mux.Handle("/api/", s.serve(route{"/api/", public, s.noRoute, 0, about{}}))
	s.routed = mux
	return mux
}

// noRoute answers what no other route does: the path is unknown, or has a route
// for other methods only.
func (s *Server) noRoute(w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := s.routed.Handler(probe); strings.HasPrefix(pattern, method+" ") {
			allowed = append(allowed, method)
		}
	}
	// An administrator's route does not exist for others.
	if len(allowed) > 0 && !slices.Contains(allowed, r.Method) && !strings.HasPrefix(r.URL.Path, "/api/admin/") {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return newProblem(405, "method_not_allowed", "this route takes "+strings.Join(allowed, ", "))
	}
	return newProblem(404, "not_found", "no such route; GET /api/ says what this server can do")
}

package main

import (
	"sync"

	peerpb "github.com/cilium/cilium/api/v1/peer"
)

// peer is a node as Relay is told of it. ServerName set: Relay is to speak TLS and to expect it.
type peer struct {
	Name       string `json:"name"`
	Address    string `json:"address"`
	ServerName string `json:"serverName,omitempty"`
}

// peerChange is told in this order: deleted, added, updated.
type peerChange struct {
	Deleted []peer `json:"deleted"`
	Added   []peer `json:"added"`
	Updated []peer `json:"updated"`
}

// peerService tells every stream the list as it stands when it opens, then each change.
type peerService struct {
	peerpb.UnimplementedPeerServer
	mutex   sync.Mutex
	list    []peer
	streams map[chan *peerpb.ChangeNotification]struct{}
}

// notificationsMax bounds what a stream may be behind; a test's list of peers is far shorter.
const notificationsMax = 1024

func newPeerService() *peerService {
	return &peerService{streams: map[chan *peerpb.ChangeNotification]struct{}{}}
}

func notification(p peer, kind peerpb.ChangeNotificationType) *peerpb.ChangeNotification {
	change := &peerpb.ChangeNotification{Name: p.Name, Address: p.Address, Type: kind}
	if p.ServerName != "" {
		change.Tls = &peerpb.TLS{ServerName: p.ServerName}
	}
	return change
}

func (s *peerService) Notify(_ *peerpb.NotifyRequest, stream peerpb.Peer_NotifyServer) error {
	changes := make(chan *peerpb.ChangeNotification, notificationsMax)
	s.mutex.Lock()
	for _, p := range s.list {
		changes <- notification(p, peerpb.ChangeNotificationType_PEER_ADDED)
	}
	s.streams[changes] = struct{}{}
	s.mutex.Unlock()
	defer func() {
		s.mutex.Lock()
		delete(s.streams, changes)
		s.mutex.Unlock()
	}()
	for {
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case change := <-changes:
			if err := stream.Send(change); err != nil {
				return err
			}
		}
	}
}

func (s *peerService) apply(change peerChange) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, p := range change.Deleted {
		s.remove(p.Name)
		s.tell(notification(p, peerpb.ChangeNotificationType_PEER_DELETED))
	}
	for _, p := range change.Added {
		s.list = append(s.list, p)
		s.tell(notification(p, peerpb.ChangeNotificationType_PEER_ADDED))
	}
	for _, p := range change.Updated {
		s.remove(p.Name)
		s.list = append(s.list, p)
		s.tell(notification(p, peerpb.ChangeNotificationType_PEER_UPDATED))
	}
}

func (s *peerService) remove(name string) {
	kept := s.list[:0]
	for _, p := range s.list {
		if p.Name != name {
			kept = append(kept, p)
		}
	}
	s.list = kept
}

func (s *peerService) tell(change *peerpb.ChangeNotification) {
	for stream := range s.streams {
		stream <- change
	}
}

--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: peerpost; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA peerpost;


--
-- Name: departure_added(); Type: FUNCTION; Schema: peerpost; Owner: -
--

CREATE FUNCTION peerpost.departure_added() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ DECLARE number bigint; BEGIN
    SELECT COUNT(*) INTO number FROM added;
    IF number > 0 THEN UPDATE tally SET departures = departures + number; END IF;
    RETURN NULL;
  END $$;


--
-- Name: departure_gone(); Type: FUNCTION; Schema: peerpost; Owner: -
--

CREATE FUNCTION peerpost.departure_gone() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ DECLARE number bigint; BEGIN
    SELECT COUNT(*) INTO number FROM gone;
    IF number > 0 THEN UPDATE tally SET departures = departures - number; END IF;
    RETURN NULL;
  END $$;


--
-- Name: entry_added(); Type: FUNCTION; Schema: peerpost; Owner: -
--

CREATE FUNCTION peerpost.entry_added() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ DECLARE number bigint; BEGIN
    SELECT COUNT(*) INTO number FROM added;
    IF number > 0 THEN UPDATE tally SET entries = entries + number; END IF;
    RETURN NULL;
  END $$;


--
-- Name: entry_and_statement_gone(); Type: FUNCTION; Schema: peerpost; Owner: -
--

CREATE FUNCTION peerpost.entry_and_statement_gone() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    DELETE FROM statement WHERE room_id = OLD.room_id AND user_id = OLD.user_id; RETURN NULL;
  END $$;


--
-- Name: entry_gone(); Type: FUNCTION; Schema: peerpost; Owner: -
--

CREATE FUNCTION peerpost.entry_gone() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ DECLARE number bigint; BEGIN
    SELECT COUNT(*) INTO number FROM gone;
    IF number > 0 THEN UPDATE tally SET entries = entries - number; END IF;
    RETURN NULL;
  END $$;


--
-- Name: forward_added(); Type: FUNCTION; Schema: peerpost; Owner: -
--

CREATE FUNCTION peerpost.forward_added() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ DECLARE number bigint; BEGIN
    SELECT COUNT(*) INTO number FROM added;
    IF number > 0 THEN UPDATE tally SET forwards = forwards + number; END IF;
    RETURN NULL;
  END $$;


--
-- Name: forward_gone(); Type: FUNCTION; Schema: peerpost; Owner: -
--

CREATE FUNCTION peerpost.forward_gone() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ DECLARE number bigint; BEGIN
    SELECT COUNT(*) INTO number FROM gone;
    IF number > 0 THEN UPDATE tally SET forwards = forwards - number; END IF;
    RETURN NULL;
  END $$;


--
-- Name: introduction_added(); Type: FUNCTION; Schema: peerpost; Owner: -
--

CREATE FUNCTION peerpost.introduction_added() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ DECLARE number bigint; BEGIN
    SELECT COUNT(*) INTO number FROM added;
    IF number > 0 THEN UPDATE tally SET introductions = introductions + number; END IF;
    RETURN NULL;
  END $$;


--
-- Name: introduction_gone(); Type: FUNCTION; Schema: peerpost; Owner: -
--

CREATE FUNCTION peerpost.introduction_gone() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ DECLARE number bigint; BEGIN
    SELECT COUNT(*) INTO number FROM gone;
    IF number > 0 THEN UPDATE tally SET introductions = introductions - number; END IF;
    RETURN NULL;
  END $$;


--
-- Name: seen_letter_added(); Type: FUNCTION; Schema: peerpost; Owner: -
--

CREATE FUNCTION peerpost.seen_letter_added() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ DECLARE number bigint; BEGIN
    SELECT COUNT(*) INTO number FROM added;
    IF number > 0 THEN UPDATE tally SET seen_letters = seen_letters + number; END IF;
    RETURN NULL;
  END $$;


--
-- Name: seen_letter_gone(); Type: FUNCTION; Schema: peerpost; Owner: -
--

CREATE FUNCTION peerpost.seen_letter_gone() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ DECLARE number bigint; BEGIN
    SELECT COUNT(*) INTO number FROM gone;
    IF number > 0 THEN UPDATE tally SET seen_letters = seen_letters - number; END IF;
    RETURN NULL;
  END $$;


--
-- Name: statement_added(); Type: FUNCTION; Schema: peerpost; Owner: -
--

CREATE FUNCTION peerpost.statement_added() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO leaf (leaf, items, print) VALUES (NEW.leaf, 1, NEW.print)
      ON CONFLICT (leaf) DO UPDATE SET items = leaf.items + 1, print = leaf.print # NEW.print;
    RETURN NULL;
  END $$;


--
-- Name: statement_gone(); Type: FUNCTION; Schema: peerpost; Owner: -
--

CREATE FUNCTION peerpost.statement_gone() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    UPDATE leaf SET items = items - 1, print = print # OLD.print WHERE leaf.leaf = OLD.leaf; RETURN NULL;
  END $$;


--
-- Name: worker_choice_added(); Type: FUNCTION; Schema: peerpost; Owner: -
--

CREATE FUNCTION peerpost.worker_choice_added() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ DECLARE number bigint; BEGIN
    SELECT COUNT(*) INTO number FROM added;
    IF number > 0 THEN UPDATE tally SET choices = choices + number; END IF;
    RETURN NULL;
  END $$;


--
-- Name: worker_choice_gone(); Type: FUNCTION; Schema: peerpost; Owner: -
--

CREATE FUNCTION peerpost.worker_choice_gone() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ DECLARE number bigint; BEGIN
    SELECT COUNT(*) INTO number FROM gone;
    IF number > 0 THEN UPDATE tally SET choices = choices - number; END IF;
    RETURN NULL;
  END $$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: blocked; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.blocked (
    user_id bytea NOT NULL,
    name text NOT NULL,
    blocked_at bigint NOT NULL,
    CONSTRAINT blocked_user_id_check CHECK ((length(user_id) = 32))
);


--
-- Name: departure; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.departure (
    room_id bigint NOT NULL,
    user_id bytea NOT NULL,
    sent_at bigint NOT NULL,
    item_key text,
    signed bytea,
    CONSTRAINT departure_user_id_check CHECK ((length(user_id) = 32))
);


--
-- Name: entry; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.entry (
    entry_order bigint NOT NULL,
    room_id bigint NOT NULL,
    user_id bytea NOT NULL,
    nickname text NOT NULL,
    session_id bytea NOT NULL,
    session_key bytea NOT NULL,
    return_address text NOT NULL,
    candidates text NOT NULL,
    tcp_candidates text DEFAULT '[]'::text NOT NULL,
    nat text NOT NULL,
    flagged integer NOT NULL,
    sent_at bigint NOT NULL,
    accepted_at bigint NOT NULL,
    invite_id bigint,
    CONSTRAINT entry_flagged_check CHECK ((flagged = ANY (ARRAY[0, 1]))),
    CONSTRAINT entry_session_id_check CHECK ((length(session_id) = 16)),
    CONSTRAINT entry_session_key_check CHECK ((length(session_key) = 32)),
    CONSTRAINT entry_user_id_check CHECK ((length(user_id) = 32))
);


--
-- Name: entry_entry_order_seq; Type: SEQUENCE; Schema: peerpost; Owner: -
--

ALTER TABLE peerpost.entry ALTER COLUMN entry_order ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME peerpost.entry_entry_order_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: forward; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.forward (
    forward_id bytea NOT NULL,
    sender bytea NOT NULL,
    worker bytea NOT NULL,
    mail_from text NOT NULL,
    mail_date bigint,
    mail_id text,
    boxes bytea NOT NULL,
    message_id text NOT NULL,
    tries bigint NOT NULL,
    forwarded_at bigint NOT NULL,
    CONSTRAINT forward_forward_id_check CHECK ((length(forward_id) = 16)),
    CONSTRAINT forward_sender_check CHECK ((length(sender) = 16)),
    CONSTRAINT forward_worker_check CHECK ((length(worker) = 32))
);


--
-- Name: introduction; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.introduction (
    room_id bigint NOT NULL,
    recipient bytea NOT NULL,
    asker bytea NOT NULL,
    noted_at bigint NOT NULL
);


--
-- Name: invite; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.invite (
    invite_id bigint NOT NULL,
    key bytea NOT NULL,
    room_id bigint NOT NULL,
    name text NOT NULL,
    made_at bigint NOT NULL,
    until_at bigint,
    uses bigint,
    revoked_at bigint,
    host bytea,
    CONSTRAINT invite_key_check CHECK ((length(key) = 32)),
    CONSTRAINT invite_uses_check CHECK ((uses > 0))
);


--
-- Name: invite_invite_id_seq; Type: SEQUENCE; Schema: peerpost; Owner: -
--

ALTER TABLE peerpost.invite ALTER COLUMN invite_id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME peerpost.invite_invite_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: invite_user; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.invite_user (
    invite_id bigint NOT NULL,
    user_id bytea NOT NULL,
    first_at bigint NOT NULL,
    CONSTRAINT invite_user_user_id_check CHECK ((length(user_id) = 32))
);


--
-- Name: leaf; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.leaf (
    leaf bigint NOT NULL,
    items bigint NOT NULL,
    print bigint NOT NULL
);


--
-- Name: letter_claim; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.letter_claim (
    letter text NOT NULL,
    owner text NOT NULL,
    claimed_until bigint NOT NULL
);


--
-- Name: mail; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.mail (
    mail_order bigint NOT NULL,
    message_id text NOT NULL,
    kind text NOT NULL,
    lane integer NOT NULL,
    recipient text NOT NULL,
    raw bytea NOT NULL,
    attempts integer NOT NULL,
    added_at bigint NOT NULL,
    next_attempt_at bigint NOT NULL,
    user_id bytea,
    claimed_until bigint DEFAULT 0 NOT NULL,
    CONSTRAINT mail_lane_check CHECK ((lane = ANY (ARRAY[0, 1])))
);


--
-- Name: mail_mail_order_seq; Type: SEQUENCE; Schema: peerpost; Owner: -
--

ALTER TABLE peerpost.mail ALTER COLUMN mail_order ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME peerpost.mail_mail_order_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: revocation; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.revocation (
    host bytea NOT NULL,
    key bytea NOT NULL,
    revoked_at bigint NOT NULL,
    until_at bigint,
    signature bytea NOT NULL,
    told_at bigint NOT NULL,
    CONSTRAINT revocation_host_check CHECK ((length(host) = 32)),
    CONSTRAINT revocation_key_check CHECK ((length(key) = 32)),
    CONSTRAINT revocation_signature_check CHECK ((length(signature) = 64))
);


--
-- Name: room; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.room (
    room_id bigint NOT NULL,
    tag bytea NOT NULL,
    CONSTRAINT room_tag_check CHECK ((length(tag) = 32))
);


--
-- Name: room_room_id_seq; Type: SEQUENCE; Schema: peerpost; Owner: -
--

ALTER TABLE peerpost.room ALTER COLUMN room_id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME peerpost.room_room_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: seen_letter; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.seen_letter (
    sender bytea NOT NULL,
    letter_id bytea NOT NULL,
    sent_at bigint NOT NULL
);


--
-- Name: sent_hour; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.sent_hour (
    hour bigint NOT NULL,
    mails bigint NOT NULL
);


--
-- Name: statement; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.statement (
    item_key text NOT NULL,
    room_id bigint NOT NULL,
    user_id bytea NOT NULL,
    version text NOT NULL,
    flagged integer NOT NULL,
    leaf bigint NOT NULL,
    print bigint NOT NULL,
    signed bytea NOT NULL,
    told_by bytea,
    offered bytea DEFAULT '\x'::bytea NOT NULL,
    CONSTRAINT statement_flagged_check CHECK ((flagged = ANY (ARRAY[0, 1]))),
    CONSTRAINT statement_user_id_check CHECK ((length(user_id) = 32))
);


--
-- Name: tally; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.tally (
    tally_id integer NOT NULL,
    entries bigint DEFAULT 0 NOT NULL,
    seen_letters bigint DEFAULT 0 NOT NULL,
    introductions bigint DEFAULT 0 NOT NULL,
    departures bigint DEFAULT 0 NOT NULL,
    choices bigint DEFAULT 0 NOT NULL,
    forwards bigint DEFAULT 0 NOT NULL,
    forgotten_until bigint DEFAULT 0 NOT NULL,
    CONSTRAINT tally_tally_id_check CHECK ((tally_id = 1))
);


--
-- Name: unreachable; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.unreachable (
    address text NOT NULL,
    bounces bigint NOT NULL,
    paused_until bigint NOT NULL
);


--
-- Name: version; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.version (
    version_id integer NOT NULL,
    version integer NOT NULL,
    CONSTRAINT version_version_id_check CHECK ((version_id = 1))
);


--
-- Name: worker_choice; Type: TABLE; Schema: peerpost; Owner: -
--

CREATE TABLE peerpost.worker_choice (
    sender bytea NOT NULL,
    worker bytea NOT NULL,
    used_at bigint NOT NULL,
    CONSTRAINT worker_choice_sender_check CHECK ((length(sender) = 16)),
    CONSTRAINT worker_choice_worker_check CHECK ((length(worker) = 32))
);


--
-- Data for Name: blocked; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.blocked VALUES ('\x0404040404040404040404040404040404040404040404040404040404040404', 'mallory', 1793534400000);


--
-- Data for Name: departure; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.departure VALUES (1, '\x0303030303030303030303030303030303030303030303030303030303030303', 1793534400000, '91b173a934af91de', '\x67676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767');


--
-- Data for Name: entry; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.entry VALUES (1, 1, '\x0101010101010101010101010101010101010101010101010101010101010101', 'anna', '\x15151515151515151515151515151515', '\x1616161616161616161616161616161616161616161616161616161616161616', 'anna@example.org', '[{"kind":"server-reflexive","endpoint":{"address":"203.0.113.7","port":40000}},{"kind":"host","endpoint":{"address":"192.168.1.7","port":7777}}]', '[{"kind":"host","endpoint":{"address":"192.168.1.7","port":7777}}]', '{"mapping":"APDM","filtering":"APDF","allocation":{"type":"sequential","step":2}}', 0, 1793534399000, 1793534400000, 1);
INSERT INTO peerpost.entry VALUES (2, 1, '\x0202020202020202020202020202020202020202020202020202020202020202', 'Bén', '\x15151515151515151515151515151515', '\x1616161616161616161616161616161616161616161616161616161616161616', 'ben@example.net', '[{"kind":"server-reflexive","endpoint":{"address":"203.0.113.7","port":40000}},{"kind":"host","endpoint":{"address":"192.168.1.7","port":7777}}]', '[]', '{"mapping":"APDM","filtering":"APDF","allocation":{"type":"sequential","step":2}}', 0, 1793534399000, 1793534400001, NULL);


--
-- Data for Name: forward; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.forward VALUES ('\x09090909090909090909090909090909', '\x08080808080808080808080808080808', '\x0707070707070707070707070707070707070707070707070707070707070707', 'anna@example.org', 1793534400000, '<letter@example.org>', '\x8258321f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f583c202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020', '<forward@example.org>', 1, 1793534400000);


--
-- Data for Name: introduction; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.introduction VALUES (1, '\x0202020202020202020202020202020202020202020202020202020202020202', '\x0101010101010101010101010101010101010101010101010101010101010101', 1793534400000);


--
-- Data for Name: invite; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.invite VALUES (1, '\x916ae2889c1c98cffd840783afa96970cc9df866232a5c4f6b1d0861cf1b22c3', 1, 'for anna', 1793534400000, NULL, NULL, NULL, '\xee92279e405a305e85b157b7622c15e7a92addce63f0f27bc060339ad4e2f1cd');
INSERT INTO peerpost.invite VALUES (2, '\x0606060606060606060606060606060606060606060606060606060606060606', 1, '', 1793534400000, 1796126400000, 3, 1793534400000, '\xee92279e405a305e85b157b7622c15e7a92addce63f0f27bc060339ad4e2f1cd');


--
-- Data for Name: invite_user; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.invite_user VALUES (1, '\x0101010101010101010101010101010101010101010101010101010101010101', 1793534400000);


--
-- Data for Name: leaf; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.leaf VALUES (1345, 1, 262004107891570);
INSERT INTO peerpost.leaf VALUES (3051, 1, 61959746207171);


--
-- Data for Name: letter_claim; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.letter_claim VALUES ('INBOX/1', 'process 1', 1793534460000);


--
-- Data for Name: mail; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.mail VALUES (1, '<reply@example.org>', 'reply', 0, 'anna@example.org', '\x0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b', 0, 1793534400000, 1793534400000, '\x0101010101010101010101010101010101010101010101010101010101010101', 0);
INSERT INTO peerpost.mail VALUES (2, '<table@example.org>', 'table', 1, 'anna@example.org', '\x0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b', 0, 1793534400000, 1793534400000, NULL, 0);


--
-- Data for Name: revocation; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.revocation VALUES ('\xee92279e405a305e85b157b7622c15e7a92addce63f0f27bc060339ad4e2f1cd', '\x0606060606060606060606060606060606060606060606060606060606060606', 1793534400000, 1796126400000, '\x023808a18efd28801304f5f8fccc0b939efc08760c399f1ab7b8a4dd51d337d170b0f805cf2cb2e4ff5bcd91d1979ccf3c3ddffe1f374ab356c1ac711a9e4c0b', 0);


--
-- Data for Name: room; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.room VALUES (1, '\xfcb30e2b8542a9ed3a9cb0a376a00fd0adf5a6f79030eec6f6e538bf41d40276');


--
-- Data for Name: seen_letter; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.seen_letter VALUES ('\x0101010101010101010101010101010101010101010101010101010101010101', '\x0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a', 1793534399000);


--
-- Data for Name: sent_hour; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.sent_hour VALUES (498204, 17);


--
-- Data for Name: statement; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.statement VALUES ('541544f13ad50745', 1, '\x0101010101010101010101010101010101010101010101010101010101010101', '01a196fb12183f9e4fd8a0', 0, 1345, 262004107891570, '\x65656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565656565', NULL, '\x');
INSERT INTO peerpost.statement VALUES ('beb6dc7db1e10c20', 1, '\x0202020202020202020202020202020202020202020202020202020202020202', '01a196fb1218466e315b61', 0, 3051, 61959746207171, '\x66666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666666', '\x0505050505050505050505050505050505050505050505050505050505050505', '\x');


--
-- Data for Name: tally; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.tally VALUES (1, 2, 1, 1, 1, 1, 1, 1793448000000);


--
-- Data for Name: unreachable; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.unreachable VALUES ('gone@example.org', 1, 1793535000000);


--
-- Data for Name: version; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.version VALUES (1, 1);


--
-- Data for Name: worker_choice; Type: TABLE DATA; Schema: peerpost; Owner: -
--

INSERT INTO peerpost.worker_choice VALUES ('\x08080808080808080808080808080808', '\x0707070707070707070707070707070707070707070707070707070707070707', 1793534400000);


--
-- Name: entry_entry_order_seq; Type: SEQUENCE SET; Schema: peerpost; Owner: -
--

SELECT pg_catalog.setval('peerpost.entry_entry_order_seq', 3, true);


--
-- Name: invite_invite_id_seq; Type: SEQUENCE SET; Schema: peerpost; Owner: -
--

SELECT pg_catalog.setval('peerpost.invite_invite_id_seq', 2, true);


--
-- Name: mail_mail_order_seq; Type: SEQUENCE SET; Schema: peerpost; Owner: -
--

SELECT pg_catalog.setval('peerpost.mail_mail_order_seq', 2, true);


--
-- Name: room_room_id_seq; Type: SEQUENCE SET; Schema: peerpost; Owner: -
--

SELECT pg_catalog.setval('peerpost.room_room_id_seq', 2, true);


--
-- Name: blocked blocked_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.blocked
    ADD CONSTRAINT blocked_pkey PRIMARY KEY (user_id);


--
-- Name: departure departure_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.departure
    ADD CONSTRAINT departure_pkey PRIMARY KEY (room_id, user_id);


--
-- Name: entry entry_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.entry
    ADD CONSTRAINT entry_pkey PRIMARY KEY (entry_order);


--
-- Name: forward forward_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.forward
    ADD CONSTRAINT forward_pkey PRIMARY KEY (forward_id);


--
-- Name: introduction introduction_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.introduction
    ADD CONSTRAINT introduction_pkey PRIMARY KEY (room_id, recipient, asker);


--
-- Name: invite invite_key_key; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.invite
    ADD CONSTRAINT invite_key_key UNIQUE (key);


--
-- Name: invite invite_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.invite
    ADD CONSTRAINT invite_pkey PRIMARY KEY (invite_id);


--
-- Name: invite_user invite_user_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.invite_user
    ADD CONSTRAINT invite_user_pkey PRIMARY KEY (invite_id, user_id);


--
-- Name: leaf leaf_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.leaf
    ADD CONSTRAINT leaf_pkey PRIMARY KEY (leaf);


--
-- Name: letter_claim letter_claim_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.letter_claim
    ADD CONSTRAINT letter_claim_pkey PRIMARY KEY (letter);


--
-- Name: mail mail_message_id_key; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.mail
    ADD CONSTRAINT mail_message_id_key UNIQUE (message_id);


--
-- Name: mail mail_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.mail
    ADD CONSTRAINT mail_pkey PRIMARY KEY (mail_order);


--
-- Name: revocation revocation_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.revocation
    ADD CONSTRAINT revocation_pkey PRIMARY KEY (host, key);


--
-- Name: room room_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.room
    ADD CONSTRAINT room_pkey PRIMARY KEY (room_id);


--
-- Name: room room_tag_key; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.room
    ADD CONSTRAINT room_tag_key UNIQUE (tag);


--
-- Name: seen_letter seen_letter_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.seen_letter
    ADD CONSTRAINT seen_letter_pkey PRIMARY KEY (sender, letter_id);


--
-- Name: sent_hour sent_hour_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.sent_hour
    ADD CONSTRAINT sent_hour_pkey PRIMARY KEY (hour);


--
-- Name: statement statement_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.statement
    ADD CONSTRAINT statement_pkey PRIMARY KEY (item_key);


--
-- Name: tally tally_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.tally
    ADD CONSTRAINT tally_pkey PRIMARY KEY (tally_id);


--
-- Name: unreachable unreachable_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.unreachable
    ADD CONSTRAINT unreachable_pkey PRIMARY KEY (address);


--
-- Name: version version_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.version
    ADD CONSTRAINT version_pkey PRIMARY KEY (version_id);


--
-- Name: worker_choice worker_choice_pkey; Type: CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.worker_choice
    ADD CONSTRAINT worker_choice_pkey PRIMARY KEY (sender);


--
-- Name: departure_by_age; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX departure_by_age ON peerpost.departure USING btree (sent_at);


--
-- Name: departure_by_item; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX departure_by_item ON peerpost.departure USING btree (item_key) WHERE (item_key IS NOT NULL);


--
-- Name: entry_by_age; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX entry_by_age ON peerpost.entry USING btree (accepted_at);


--
-- Name: entry_by_invite; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX entry_by_invite ON peerpost.entry USING btree (invite_id) WHERE (invite_id IS NOT NULL);


--
-- Name: entry_by_room; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX entry_by_room ON peerpost.entry USING btree (room_id, accepted_at, entry_order);


--
-- Name: entry_by_user; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE UNIQUE INDEX entry_by_user ON peerpost.entry USING btree (room_id, user_id);


--
-- Name: forward_by_worker; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX forward_by_worker ON peerpost.forward USING btree (worker, forwarded_at);


--
-- Name: introduction_by_age; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX introduction_by_age ON peerpost.introduction USING btree (noted_at);


--
-- Name: invite_by_end; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX invite_by_end ON peerpost.invite USING btree (until_at) WHERE (until_at IS NOT NULL);


--
-- Name: letter_claim_by_end; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX letter_claim_by_end ON peerpost.letter_claim USING btree (claimed_until);


--
-- Name: mail_by_age; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX mail_by_age ON peerpost.mail USING btree (added_at);


--
-- Name: mail_by_user; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX mail_by_user ON peerpost.mail USING btree (user_id) WHERE (user_id IS NOT NULL);


--
-- Name: mail_claimed; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX mail_claimed ON peerpost.mail USING btree (claimed_until) WHERE (claimed_until > 0);


--
-- Name: mail_due; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX mail_due ON peerpost.mail USING btree (lane, next_attempt_at, mail_order);


--
-- Name: revocation_by_telling; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX revocation_by_telling ON peerpost.revocation USING btree (told_at);


--
-- Name: seen_letter_by_age; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX seen_letter_by_age ON peerpost.seen_letter USING btree (sent_at);


--
-- Name: statement_by_leaf; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX statement_by_leaf ON peerpost.statement USING btree (leaf);


--
-- Name: statement_by_user; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE UNIQUE INDEX statement_by_user ON peerpost.statement USING btree (room_id, user_id);


--
-- Name: unreachable_by_pause; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX unreachable_by_pause ON peerpost.unreachable USING btree (paused_until);


--
-- Name: worker_choice_by_age; Type: INDEX; Schema: peerpost; Owner: -
--

CREATE INDEX worker_choice_by_age ON peerpost.worker_choice USING btree (used_at);


--
-- Name: departure departure_added; Type: TRIGGER; Schema: peerpost; Owner: -
--

CREATE TRIGGER departure_added AFTER INSERT ON peerpost.departure REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION peerpost.departure_added();


--
-- Name: departure departure_gone; Type: TRIGGER; Schema: peerpost; Owner: -
--

CREATE TRIGGER departure_gone AFTER DELETE ON peerpost.departure REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION peerpost.departure_gone();


--
-- Name: entry entry_added; Type: TRIGGER; Schema: peerpost; Owner: -
--

CREATE TRIGGER entry_added AFTER INSERT ON peerpost.entry REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION peerpost.entry_added();


--
-- Name: entry entry_and_statement_gone; Type: TRIGGER; Schema: peerpost; Owner: -
--

CREATE TRIGGER entry_and_statement_gone AFTER DELETE ON peerpost.entry FOR EACH ROW EXECUTE FUNCTION peerpost.entry_and_statement_gone();


--
-- Name: entry entry_gone; Type: TRIGGER; Schema: peerpost; Owner: -
--

CREATE TRIGGER entry_gone AFTER DELETE ON peerpost.entry REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION peerpost.entry_gone();


--
-- Name: forward forward_added; Type: TRIGGER; Schema: peerpost; Owner: -
--

CREATE TRIGGER forward_added AFTER INSERT ON peerpost.forward REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION peerpost.forward_added();


--
-- Name: forward forward_gone; Type: TRIGGER; Schema: peerpost; Owner: -
--

CREATE TRIGGER forward_gone AFTER DELETE ON peerpost.forward REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION peerpost.forward_gone();


--
-- Name: introduction introduction_added; Type: TRIGGER; Schema: peerpost; Owner: -
--

CREATE TRIGGER introduction_added AFTER INSERT ON peerpost.introduction REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION peerpost.introduction_added();


--
-- Name: introduction introduction_gone; Type: TRIGGER; Schema: peerpost; Owner: -
--

CREATE TRIGGER introduction_gone AFTER DELETE ON peerpost.introduction REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION peerpost.introduction_gone();


--
-- Name: seen_letter seen_letter_added; Type: TRIGGER; Schema: peerpost; Owner: -
--

CREATE TRIGGER seen_letter_added AFTER INSERT ON peerpost.seen_letter REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION peerpost.seen_letter_added();


--
-- Name: seen_letter seen_letter_gone; Type: TRIGGER; Schema: peerpost; Owner: -
--

CREATE TRIGGER seen_letter_gone AFTER DELETE ON peerpost.seen_letter REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION peerpost.seen_letter_gone();


--
-- Name: statement statement_added; Type: TRIGGER; Schema: peerpost; Owner: -
--

CREATE TRIGGER statement_added AFTER INSERT ON peerpost.statement FOR EACH ROW EXECUTE FUNCTION peerpost.statement_added();


--
-- Name: statement statement_gone; Type: TRIGGER; Schema: peerpost; Owner: -
--

CREATE TRIGGER statement_gone AFTER DELETE ON peerpost.statement FOR EACH ROW EXECUTE FUNCTION peerpost.statement_gone();


--
-- Name: worker_choice worker_choice_added; Type: TRIGGER; Schema: peerpost; Owner: -
--

CREATE TRIGGER worker_choice_added AFTER INSERT ON peerpost.worker_choice REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION peerpost.worker_choice_added();


--
-- Name: worker_choice worker_choice_gone; Type: TRIGGER; Schema: peerpost; Owner: -
--

CREATE TRIGGER worker_choice_gone AFTER DELETE ON peerpost.worker_choice REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION peerpost.worker_choice_gone();


--
-- Name: departure departure_room_id_fkey; Type: FK CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.departure
    ADD CONSTRAINT departure_room_id_fkey FOREIGN KEY (room_id) REFERENCES peerpost.room(room_id);


--
-- Name: entry entry_invite_id_fkey; Type: FK CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.entry
    ADD CONSTRAINT entry_invite_id_fkey FOREIGN KEY (invite_id) REFERENCES peerpost.invite(invite_id);


--
-- Name: entry entry_room_id_fkey; Type: FK CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.entry
    ADD CONSTRAINT entry_room_id_fkey FOREIGN KEY (room_id) REFERENCES peerpost.room(room_id);


--
-- Name: introduction introduction_room_id_fkey; Type: FK CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.introduction
    ADD CONSTRAINT introduction_room_id_fkey FOREIGN KEY (room_id) REFERENCES peerpost.room(room_id);


--
-- Name: invite invite_room_id_fkey; Type: FK CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.invite
    ADD CONSTRAINT invite_room_id_fkey FOREIGN KEY (room_id) REFERENCES peerpost.room(room_id);


--
-- Name: invite_user invite_user_invite_id_fkey; Type: FK CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.invite_user
    ADD CONSTRAINT invite_user_invite_id_fkey FOREIGN KEY (invite_id) REFERENCES peerpost.invite(invite_id) ON DELETE CASCADE;


--
-- Name: statement statement_room_id_fkey; Type: FK CONSTRAINT; Schema: peerpost; Owner: -
--

ALTER TABLE ONLY peerpost.statement
    ADD CONSTRAINT statement_room_id_fkey FOREIGN KEY (room_id) REFERENCES peerpost.room(room_id);


--
-- PostgreSQL database dump complete
--



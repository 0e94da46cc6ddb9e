-- Zones in the layout of PowerDNS's generic SQL backend: the columns and keys
-- of this layout, written for Resolua.  Names are lower case and have no final
-- dot; records.content is the data as text, without the first number of MX and
-- SRV, which stands in prio.

CREATE TABLE domains (
    id              INT AUTO_INCREMENT PRIMARY KEY,
    name            VARCHAR(255) NOT NULL,
    master          VARCHAR(128) DEFAULT NULL,
    last_check      INT DEFAULT NULL,
    type            VARCHAR(8) NOT NULL, -- NATIVE, MASTER, SLAVE, PRODUCER, CONSUMER
    notified_serial INT UNSIGNED DEFAULT NULL,
    account         VARCHAR(40) CHARACTER SET utf8mb3 DEFAULT NULL,
    options         VARCHAR(64000) DEFAULT NULL,
    catalog         VARCHAR(255) DEFAULT NULL,
    UNIQUE KEY name_index (name),
    KEY catalog_idx (catalog)
) ENGINE = InnoDB CHARACTER SET latin1;

CREATE TABLE records (
    id        BIGINT AUTO_INCREMENT PRIMARY KEY,
    domain_id INT DEFAULT NULL,
    name      VARCHAR(255) DEFAULT NULL,
    type      VARCHAR(10) DEFAULT NULL, -- NULL: an empty non-terminal
    content   VARCHAR(64000) DEFAULT NULL,
    ttl       INT DEFAULT NULL,
    prio      INT DEFAULT NULL,
    disabled  TINYINT(1) DEFAULT 0,
    ordername VARCHAR(255) BINARY DEFAULT NULL,
    auth      TINYINT(1) DEFAULT 1,
    KEY nametype_index (name, type),
    KEY domain_id (domain_id),
    KEY ordername (ordername)
) ENGINE = InnoDB CHARACTER SET latin1;

CREATE TABLE supermasters (
    ip         VARCHAR(64) NOT NULL,
    nameserver VARCHAR(255) NOT NULL,
    account    VARCHAR(40) CHARACTER SET utf8mb3 NOT NULL,
    PRIMARY KEY (ip, nameserver)
) ENGINE = InnoDB CHARACTER SET latin1;

CREATE TABLE comments (
    id          INT AUTO_INCREMENT PRIMARY KEY,
    domain_id   INT NOT NULL,
    name        VARCHAR(255) NOT NULL,
    type        VARCHAR(10) NOT NULL,
    modified_at INT NOT NULL,
    account     VARCHAR(40) CHARACTER SET utf8mb3 DEFAULT NULL,
    comment     TEXT CHARACTER SET utf8mb3 NOT NULL,
    KEY comments_name_type_idx (name, type),
    KEY comments_order_idx (domain_id, modified_at)
) ENGINE = InnoDB CHARACTER SET latin1;

CREATE TABLE domainmetadata (
    id        INT AUTO_INCREMENT PRIMARY KEY,
    domain_id INT NOT NULL,
    kind      VARCHAR(32),
    content   TEXT,
    KEY domainmetadata_idx (domain_id, kind)
) ENGINE = InnoDB CHARACTER SET latin1;

CREATE TABLE cryptokeys (
    id        INT AUTO_INCREMENT PRIMARY KEY,
    domain_id INT NOT NULL,
    flags     INT NOT NULL,
    active    BOOL,
    published BOOL DEFAULT 1,
    content   TEXT,
    KEY domainidindex (domain_id)
) ENGINE = InnoDB CHARACTER SET latin1;

CREATE TABLE tsigkeys (
    id        INT AUTO_INCREMENT PRIMARY KEY,
    name      VARCHAR(255),
    algorithm VARCHAR(50),
    secret    VARCHAR(255),
    UNIQUE KEY namealgoindex (name, algorithm)
) ENGINE = InnoDB CHARACTER SET latin1;

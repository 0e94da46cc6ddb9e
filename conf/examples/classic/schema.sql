-- Types and classes are numbers: 1 A, 5 CNAME, 15 MX, 16 TXT, 28 AAAA; 1 IN.
-- Names are lower case, without the dot at the end; records are as in a
-- master file.
CREATE DATABASE IF NOT EXISTS classic;
CREATE USER IF NOT EXISTS classic@localhost IDENTIFIED BY 'classic';
GRANT SELECT ON classic.* TO classic@localhost;

CREATE TABLE IF NOT EXISTS classic.tb_dns (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    type SMALLINT UNSIGNED NOT NULL,
    class SMALLINT UNSIGNED NOT NULL DEFAULT 1,
    ttl INT UNSIGNED NOT NULL DEFAULT 300,
    record TEXT NOT NULL,
    KEY (name)
) CHARACTER SET ascii;

INSERT INTO classic.tb_dns (name, type, ttl, record) VALUES
    ('www.classic.test', 1, 300, '192.0.2.10'),
    ('www.classic.test', 1, 300, '192.0.2.11'),
    ('www.classic.test', 28, 300, '2001:db8::10'),
    ('ftp.classic.test', 5, 60, 'www.classic.test.'),
    ('classic.test', 15, 3600, '10 mail.classic.test.'),
    ('classic.test', 16, 3600, '"hello from a table"');

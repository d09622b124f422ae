## All pages

skip-to-content = Naar de inhoud
language = Taal
details = Details
request-id = Aanvraagnummer
go-to-sign-in = Naar het inloggen
go-to-account = Naar je account
show-password = Wachtwoord tonen
required-field = Dit veld is verplicht.

## Sign in

sign-in-title = Inloggen
sign-in-to = Inloggen bij { $name }
sign-in-username = Gebruikersnaam
sign-in-password = Wachtwoord
sign-in-keep = Ingelogd blijven
sign-in-keep-hint = 30 dagen, alleen op dit apparaat. Niet op een gedeelde computer.
sign-in-submit = Inloggen
sign-in-forgot-password = Wachtwoord vergeten?
sign-in-forgot-username = Gebruikersnaam vergeten?
sign-in-failed = Gebruikersnaam of wachtwoord is onjuist. Controleer beide en probeer het opnieuw. Let bij het wachtwoord op hoofdletters en kleine letters.
sign-in-too-many =
    { $minutes ->
        [one] Te veel mislukte pogingen vanaf je netwerk. Probeer het over { $minutes } minuut opnieuw.
       *[other] Te veel mislukte pogingen vanaf je netwerk. Probeer het over { $minutes } minuten opnieuw.
    }

## Sign out

sign-out-title = Uitloggen
sign-out-question = Wil je uitloggen, { $name }?
sign-out-asked-by = { $name } vraagt je om uit te loggen.
sign-out-explanation = Je wordt ook uitgelogd bij de toepassingen die je met deze login hebt geopend.
sign-out-submit = Uitloggen
sign-out-stay = Ingelogd blijven
signed-out-title = Je bent uitgelogd
signed-out-explanation = Je kunt dit venster sluiten of opnieuw inloggen.

## Choose an account

choose-account-title = Kies een account
choose-account-to-continue = om verder te gaan naar { $name }
choose-account-submit = Doorgaan als { $name }
choose-account-other = Inloggen als iemand anders
choose-account-other-hint = Je wordt dan uitgelogd uit het bovenstaande account.

## Back to the application, by a form

client-form-title = Terug naar de toepassing
client-form-to = Terug naar { $name }
client-form-explanation = Je browser stuurt het antwoord naar de toepassing. Gebeurt er niets, druk dan op de knop.
client-form-submit = Doorgaan

## Set a password

set-password-title = Nieuw wachtwoord instellen
set-password-explanation = Je bent ingelogd met een tijdelijk of verlopen wachtwoord. Kies een eigen wachtwoord om verder te gaan.
set-password-new = Nieuw wachtwoord
set-password-submit = Wachtwoord instellen en doorgaan
set-password-rules = Je wachtwoord:
set-password-met = voldaan
set-password-unmet = nog niet voldaan
set-password-problem = Dit wachtwoord kan niet worden gebruikt. Aan deze regels is nog niet voldaan: je wachtwoord …
rule-length = heeft 12 tot 40 tekens
rule-characters = bestaat uit letters zonder accenten, cijfers en leestekens, zonder spatie of dubbele punt
rule-ends = begint en eindigt met een letter of cijfer
rule-upper-case = heeft een hoofdletter
rule-lower-case = heeft een kleine letter
rule-digit = heeft een cijfer
rule-special = heeft een bijzonder teken, zoals - _ . ! of #
rule-names = bevat niet je gebruikersnaam, naam of e-mailadres
rule-common = is geen veelgebruikt wachtwoord
rule-used-before = is niet een van je laatste 12 wachtwoorden en niet het tijdelijke
rule-length-nist = telt 15 tot 128 tekens, in elke taal; spaties mogen
rule-characters-nist = bevat geen stuurtekens, zoals een tab
rule-names-nist = is niet uw gebruikersnaam of e-mailadres

## Account

account-title = Je account
account-sign-out = Uitloggen
account-profile = Profiel
account-password = Wachtwoord
account-sessions = Sessies
account-applications = Gekoppelde toepassingen
account-language = Taal
account-save = Opslaan
account-saved = Je wijzigingen zijn opgeslagen.

## Fields of the profile

field-username = Gebruikersnaam
field-first-name = Voornaam
field-last-name = Achternaam
field-display-name = Weergavenaam
field-display-name-hint = Wordt getoond in plaats van je voor- en achternaam. Laat leeg om die te gebruiken.
field-title = Functie
field-phone-number = Telefoonnummer
field-email = E-mailadres
field-email-hint = Over de wijziging gaat een bericht naar het vorige adres.
field-username-hint = Hiermee log je in.
field-optional = optioneel

## What is wrong with a field

problem-fix = Er is nog niets opgeslagen. Controleer wat hieronder is aangegeven.
problem-empty = Dit veld mag niet leeg zijn.
problem-too-long = Dit is te lang.
problem-control-character = Dit bevat een teken dat hier niet kan worden gebruikt.
problem-invisible = Dit bestaat alleen uit onzichtbare tekens. Vul een zichtbare naam in.
problem-username = Gebruik alleen letters, cijfers en . - _ + @, zonder spaties.
problem-username-taken = Iemand anders heeft deze gebruikersnaam. Kies een andere.
problem-email = Dit is geen geldig e-mailadres.
problem-changed-meanwhile = Dit is intussen elders gewijzigd in ‘{ $current }’. Sla opnieuw op om dat te vervangen door wat jij hebt ingevuld.
problem-changed-meanwhile-empty = Dit is intussen elders leeggemaakt. Sla opnieuw op om dat te vervangen door wat jij hebt ingevuld.
problem-other = Deze waarde kan niet worden gebruikt.

## The e-mail address in the profile

email-verified = Dit adres is bevestigd.
email-unverified = Dit adres is nog niet bevestigd.
email-verify = Stuur een bevestigingslink
email-link-sent = We hebben een link gestuurd naar { $address }. Open die binnen 24 uur. Komt er niets aan, kijk dan in je spammap.
email-link-too-many =
    { $minutes ->
        [one] Er is zojuist een link verstuurd. Komt die niet aan, dan kun je over { $minutes } minuut een nieuwe aanvragen.
       *[other] Je hebt meerdere links aangevraagd. Komt er geen aan, dan kun je over { $minutes } minuten een nieuwe aanvragen.
    }
email-hold = Je hebt je e-mailadres gewijzigd. Om je te beschermen als iemand anders dat deed, gaan mails met wachtwoorden tot { $until } naar je vorige adres, { $address }.

## The status in the profile

status-label = Accountstatus
status-active = Actief
status-inactive = Inactief
status-locked = Geblokkeerd
status-hint = Als je een andere status dan actief kiest, word je meteen overal en bij alle toepassingen uitgelogd. Alleen een beheerder kan je account daarna weer actief maken.
status-change = Status wijzigen
status-last-admin = Je bent de laatste actieve beheerder van je organisatie. Maak eerst iemand anders beheerder. Er is niets gewijzigd.

## Password in the account

password-current = Huidig wachtwoord
password-change = Wachtwoord wijzigen
password-wrong = Dit is niet je huidige wachtwoord.
password-ends-others = Als je het wijzigt, word je overal elders uitgelogd.
password-changed = Je wachtwoord is gewijzigd. Je bent overal elders uitgelogd.

## Second factors

account-security = Beveiliging
second-factor-title = Bevestig dat u het bent
second-factor-app = Typ de code die uw authenticator-app toont.
second-factor-recovery-code = Hebt u die niet bij u, typ dan een van uw herstelcodes.
second-factor-code = Code
second-factor-remember = Op dit apparaat niet meer vragen
second-factor-remember-hint = Gedurende { $days } dagen. Niet op een gedeelde computer.
second-factor-submit = Doorgaan
second-factor-failed = Deze code is onjuist of al gebruikt. Wacht op de volgende code en probeer het opnieuw.
second-factor-passkey = Een passkey gebruiken
second-factor-passkey-cancelled = De passkey is niet gebruikt. Probeer het opnieuw.
second-factor-passkey-failed = Deze passkey bevestigt niet dat u het bent. Probeer het opnieuw of gebruik een andere factor.
second-factor-passkey-unsupported = Uw passkey kan in deze browser niet worden gebruikt. Daarvoor zijn scripts nodig, en uw apparaat of beveiligingssleutel.
second-factor-lost = Geen codes meer? Vraag uw beheerder uw tweede factor te verwijderen.
second-factor-required = Uw organisatie vereist een tweede factor. Voeg er een toe om door te gaan.
authenticator-title = Authenticator-app toevoegen
authenticator-intro = Een authenticator-app op uw telefoon toont elke 30 seconden een nieuwe code. Bij het inloggen wordt ernaar gevraagd.
authenticator-begin = App instellen
authenticator-scan = Scan deze afbeelding met uw authenticator-app.
authenticator-qr = QR-code voor de authenticator-app
authenticator-key = Of typ deze sleutel:
authenticator-open = App op dit apparaat openen
authenticator-code = De code die de app nu toont
authenticator-confirm = App toevoegen
authenticator-wrong-code = Dit is niet de code die de app nu toont. Controleer de klok van uw telefoon en typ de volgende code.
authenticator-no-master-key = Op deze server kunnen geen authenticator-apps worden toegevoegd: er is geen hoofdsleutel om hun geheimen te versleutelen. Meld dit aan uw beheerder.
recovery-codes-title = Uw herstelcodes
recovery-codes-intro = Als u uw telefoon verliest, logt u met een van deze codes in. Elke code werkt één keer. Druk ze af of bewaar ze in een wachtwoordbeheerder.
recovery-codes-once = Ze worden alleen nu getoond.
recovery-codes-copy = Codes kopiëren
recovery-codes-copied = Gekopieerd
recovery-codes-print = Codes afdrukken
recovery-codes-continue = Ik heb de codes bewaard: doorgaan
recovery-codes-left = Resterende herstelcodes: { $left }
recovery-codes-make = Nieuwe herstelcodes maken
security-intro = Met een tweede factor kan niemand met alleen uw wachtwoord inloggen.
security-none = U hebt geen tweede factor.
security-off = Tweede factoren zijn hier uitgeschakeld.
security-required-from = Uw organisatie vereist vanaf { $when } een tweede factor. Voeg er vóór die tijd een toe.
security-add-app = Authenticator-app toevoegen
factor-app = Authenticator-app
factor-passkey = Passkey
factor-recovery-codes = Herstelcodes
factor-added = Toegevoegd op { $when }
factor-remove = Verwijderen: { $name }
factor-removed = De tweede factor is verwijderd.
factor-last = Uw organisatie vereist een tweede factor. Voeg eerst een andere toe voordat u deze verwijdert.
devices-title = Onthouden apparaten
devices-count = Apparaten waarop niet om een code wordt gevraagd: { $count }
devices-forget = Op alle apparaten weer om een code vragen
devices-forgotten = Op elk apparaat wordt weer om een code gevraagd.

## Passkeys

account-passkeys = Passkeys
passkeys-intro = Met een passkey meldt u zich aan met de vergrendeling van uw apparaat: uw vinger, uw gezicht of de pincode. U typt geen gebruikersnaam en geen wachtwoord, en geen valse site kan erom vragen.
passkeys-too-old = Om een passkey toe te voegen, te hernoemen of te verwijderen moet u zich in de laatste 5 minuten hebben aangemeld.
passkeys-sign-in-again = Opnieuw aanmelden
passkeys-unsupported = Deze browser kan hier geen passkey toevoegen. Daarvoor zijn scripts nodig, en een apparaat met schermvergrendeling of een beveiligingssleutel.
passkeys-need-a-name = Passkeys zijn hier niet beschikbaar, omdat het adres van deze server een getal is: browsers bewaren passkeys alleen voor namen. Vraag het uw beheerder.
passkeys-need-https = Passkeys zijn hier niet beschikbaar, omdat deze server niet via https bereikbaar is. Vraag het uw beheerder.
passkeys-name = Naam van de passkey
passkeys-name-hint = Kies een naam waaraan u het apparaat herkent.
passkeys-default-name = Mijn apparaat
passkeys-add = Passkey toevoegen
passkeys-yours = Uw passkeys
passkeys-none = U hebt nog geen passkey.
passkeys-synced = Op meerdere van uw apparaten
passkeys-one-device = Op één apparaat
passkeys-since = Toegevoegd { $when }
passkeys-last-used = laatst gebruikt { $when }
passkeys-never-used = nog niet gebruikt
passkeys-change = Hernoemen of verwijderen: { $name }
passkeys-rename = Naam opslaan
passkeys-remove = Passkey verwijderen: { $name }
passkeys-added = De passkey is toegevoegd. U kunt zich er vanaf nu mee aanmelden.
passkeys-renamed = De naam is opgeslagen.
passkeys-removed = De passkey is verwijderd. U kunt zich er niet meer mee aanmelden. Biedt uw apparaat hem nog aan, verwijder hem dan daar.
passkeys-taken-here = Dit apparaat heeft al een passkey voor uw account.
passkeys-not-created = Er is geen passkey toegevoegd. Probeer het opnieuw als u zover bent.
passkeys-too-many = U hebt { $count } passkeys, het maximum. Verwijder er een voordat u een andere toevoegt.
passkeys-bad-name = Er is niets opgeslagen: de naam moet 1 tot 64 zichtbare tekens hebben, zonder regeleinde.
passkeys-invalid = Deze passkey kan hier niet worden gebruikt. Er is niets gewijzigd. Probeer het opnieuw of gebruik een ander apparaat.
passkeys-gone = Deze passkey bestaat niet meer. Er is niets gewijzigd.
passkeys-expired = De pagina stond te lang open. Er is niets gewijzigd. Probeer het opnieuw.
passkeys-taken = Deze passkey is al geregistreerd. Er is niets gewijzigd.
passkeys-last-factor = U hebt een tweede factor nodig, en dit is uw enige. Voeg een andere toe voordat u deze verwijdert.
passkeys-off = Passkeys zijn hier uitgeschakeld. Er is niets gewijzigd. Vraag het uw beheerder.
passkeys-nothing-changed = Er is niets gewijzigd. Zie hieronder wat u eerst moet doen.
sign-in-passkey = Aanmelden met een passkey
sign-in-passkey-cancelled = U bent niet met een passkey aangemeld. Probeer het opnieuw of gebruik uw wachtwoord.
sign-in-passkey-refused = Met deze passkey kunt u zich niet aanmelden. Probeer een andere of gebruik uw wachtwoord.
sign-in-passkey-expired = De pagina stond te lang open. Probeer het opnieuw.
sign-in-passkey-temporary = Meld u eerst aan met het tijdelijke wachtwoord uit de e-mail en stel een nieuw wachtwoord in. Daarna werkt uw passkey weer.

## Sessions

sessions-intro = Hier ben je ingelogd. Herken je een sessie niet, beëindig die dan en wijzig je wachtwoord.
sessions-end-others = Overal elders uitloggen
sessions-end-all = Overal uitloggen, ook hier
sessions-end-one = Sessie beëindigen: { $what }
sessions-browsers = Browsers
sessions-of-applications = Toepassingen
sessions-no-applications = Geen enkele toepassing heeft toegang via een sessie van jou.
sessions-this-one = Deze browser
sessions-begun = Sinds { $when }
sessions-last-used = laatst gebruikt op { $when }
sessions-from = vanaf { $address }
sessions-unknown-browser = Onbekende browser
sessions-direct = Ingelogd met gebruikersnaam en wachtwoord
sessions-ended = De sessie is beëindigd.
sessions-others-ended = Je bent overal elders uitgelogd.
sessions-gone = Deze sessie bestaat niet meer. Er is niets gewijzigd.
sessions-more = Alleen de nieuwste { $count } worden getoond.

## Connected applications

applications-intro = Deze toepassingen mogen over je weten wat hieronder staat. Trek je dat in, dan worden ze uitgelogd en moeten ze het je opnieuw vragen.
applications-none = Je hebt geen toepassingen gekoppeld.
applications-since = Gekoppeld sinds { $when }
applications-withdraw = { $name } ontkoppelen
applications-withdrawn = De toepassing is ontkoppeld.
applications-gone = Deze toepassing is niet meer gekoppeld. Er is niets gewijzigd.

## Language in the account

language-intro = De taal van deze pagina’s en van de mails aan jou.
language-of-browser = De taal van mijn browser

## Consent

consent-title = { $name } koppelen?
consent-intro = { $name } wil weten wie je bent. Je bent ingelogd als { $username }.
consent-gets = De toepassing krijgt:
consent-allow = Toestaan
consent-deny = Niet toestaan
consent-later = Je kunt dit altijd intrekken in je account, onder ‘Gekoppelde toepassingen’.
scope-openid = Het nummer van je account, waaraan je wordt herkend
scope-profile = Je naam, gebruikersnaam en taal
scope-email = Je e-mailadres
scope-phone = Je telefoonnummer
scope-groups = De groepen waarin je zit
scope-partner = De organisatie waarbij je hoort
scope-offline-access = Toegang hiertoe ook als je niet bent ingelogd
scope-read = De gegevens inzien die jij hier kunt inzien
scope-write = De gegevens wijzigen die jij hier kunt wijzigen

## Forgotten password and username

forgot-password-title = Wachtwoord vergeten?
forgot-password-intro = We mailen je een tijdelijk wachtwoord. Je huidige wachtwoord blijft werken totdat je het tijdelijke gebruikt.
forgot-password-who = Gebruikersnaam of e-mailadres
forgot-password-submit = Stuur een tijdelijk wachtwoord
forgot-username-title = Gebruikersnaam vergeten?
forgot-username-intro = We mailen de gebruikersnamen die bij je e-mailadres horen naar dat adres.
forgot-username-submit = Stuur mijn gebruikersnaam
forgot-sent-title = Kijk in je mail
forgot-password-sent = Als er een actief account met deze naam of dit adres bestaat, is er een tijdelijk wachtwoord onderweg naar het adres van dat account. Log daarmee in en kies een nieuw wachtwoord.
forgot-username-sent = Als er actieve accounts met dit adres bestaan, zijn hun gebruikersnamen daarheen onderweg.
forgot-not-arrived = Niets ontvangen na een paar minuten? Kijk in je spammap, controleer wat je hebt ingevuld of vraag het je beheerder. Er wordt hoogstens één zo’n mail per 10 minuten verstuurd.
forgot-too-many =
    { $minutes ->
        [one] Te veel verzoeken vanaf je netwerk. Probeer het over { $minutes } minuut opnieuw.
       *[other] Te veel verzoeken vanaf je netwerk. Probeer het over { $minutes } minuten opnieuw.
    }

## Console

console-title = Console
console-home = Overzicht
console-users = Gebruikers
console-cost =
    { $count ->
        [one] { $users } gebruiker · { $ms } ms
       *[other] { $users } gebruikers · { $ms } ms
    }
console-refused-title = De console is voor beheerders
console-refused = Je bent ingelogd als { $name }, en dat is geen beheerder van je organisatie. Vraag een beheerder om je die rechten te geven, of log in met een ander account.
console-yes = Ja
console-no = Nee
console-all = Alle
console-you = jij
console-open = Openen
console-close = Sluiten
console-cancel = Annuleren
console-add = Toevoegen
console-remove = Verwijderen
console-create = Aanmaken
console-never = nooit
console-saved = Opgeslagen.
console-at-least = minstens { $count }

## Console: keys of the keyboard

console-keys = Sneltoetsen
console-keys-on = Losse toetsen als sneltoets gebruiken
console-key-next = Volgende rij
console-key-previous = Vorige rij
console-key-edit = De rij openen en bewerken
console-key-search = Naar het zoekveld
console-key-help = Deze sneltoetsen tonen
console-key-leave = De rij verlaten, of dit sluiten

## Console: lists

console-search = Zoeken
console-search-users = Gebruikers zoeken
console-filters = Filters
console-columns = Kolommen
console-order = Volgorde
console-page = Pagina
console-pages = Pagina’s
console-page-size = Rijen per pagina
console-of-pages = van { $pages }
console-of-many-pages = van minstens { $pages }
console-go = Ga
console-first = Eerste
console-previous = Vorige
console-next = Volgende
console-last = Laatste
console-apply = Toepassen
console-exactly = Gebruikersnamen, adressen en externe id’s moeten precies overeenkomen; hoofdletters maken niet uit.
console-group = Groep
console-group-id = Groep, met haar id
console-nested = Ook groepen daarbinnen
console-filter-wrong = kan niet worden gebruikt:
console-filters-wrong = Er wordt niets getoond, omdat dit adres iets vraagt dat niet te begrijpen is. Verwijder wat hierboven gemarkeerd is.
console-remove-filter = Filter verwijderen: { $name }
console-remove-filters = Alles verwijderen
console-total-users =
    { $count ->
        [one] { $users } gebruiker
       *[other] { $users } gebruikers
    }
console-total-users-at-least = Minstens { $users } gebruikers
console-no-users = Geen gebruiker voldoet. Controleer de spelling of verwijder een filter.
console-no-such-page = De lijst heeft niet zo veel pagina’s.
console-curl = Hetzelfde als API-aanroep

## Console: a user

console-user-id = Id
console-user-number = gebruiker { $id }
console-status = Status
console-active = Actief
console-inactive = Inactief
console-locked = Vergrendeld
console-active-hint = Kan inloggen. Een tijdelijk wachtwoord wordt meteen gemaild.
console-inactive-hint = Kan niet inloggen. Het wachtwoord wordt bij activering gemaild.
console-admin = Beheerder
console-admins = Beheerders
console-is-admin = Beheerder
console-is-admin-hint = Kan alles in deze console zien en wijzigen.
console-external-id = Externe id
console-display-name-hint = Wordt getoond in plaats van voor- en achternaam.
console-external-id-hint = De sleutel van deze gebruiker in je eigen systemen. Elke kan één keer worden gebruikt.
console-locale-hint = Een taalcode zoals en, nl of zh-Hans. Mails en pagina’s zijn in deze taal.
console-problem-locale = Dit is geen taalcode. Schrijf bijvoorbeeld en of pt-BR.
console-problem-external-id-taken = Een andere gebruiker heeft deze externe id.
console-problem-last-admin = Dit is de laatste actieve beheerder. Maak eerst iemand anders beheerder. Er is niets gewijzigd.
console-problem-self-delete = Je kunt jezelf niet verwijderen. Een andere beheerder moet dat doen. Er is niets gewijzigd.
console-created = Aangemaakt
console-updated = Laatst gewijzigd
console-last-login = Laatste login
console-groups = Groepen
console-group-name = Naam van een groep
console-no-groups = In geen enkele groep.
console-no-such-group = Er is geen groep met deze naam, of de gebruiker zit er niet meer in. Er is niets gewijzigd.
console-remove-from = Verwijderen uit { $name }
console-new-user = Nieuwe gebruiker
console-created-user = De gebruiker is aangemaakt.
console-all-users = Alle gebruikers
console-unknown-user-title = Deze gebruiker bestaat niet
console-unknown-user = Je organisatie heeft geen gebruiker met deze id. Misschien is die verwijderd:
console-about-user = Over deze gebruiker
console-lock = Vergrendelen
console-unlock = Ontgrendelen
console-activate = Activeren
console-deactivate = Deactiveren
console-status-hint = Vergrendelen en deactiveren beëindigen meteen alle sessies.
console-more = Meer
console-reset-password = Wachtwoord opnieuw instellen …
console-reset-password-hint = Een tijdelijk wachtwoord wordt naar de gebruiker gemaild. Het oude wachtwoord en alle sessies vervallen meteen.
console-reset-password-now = Opnieuw instellen en mail versturen
console-password-reset = Een tijdelijk wachtwoord is onderweg naar de gebruiker.
console-delete-user = Gebruiker verwijderen …
console-delete-user-hint = Alle sessies eindigen meteen. De gebruiker kan worden hersteld tot de bewaartermijn van je server afloopt.
console-delete-now = { $name } verwijderen
console-stale = Iemand anders heeft deze gebruiker gewijzigd sinds je het formulier opende. Er is nog niets opgeslagen. Vergelijk beide versies en sla opnieuw op, of neem die van de ander.
console-versions = Beide versies
console-field = Veld
console-theirs = Nu opgeslagen
console-yours = Door jou getypt
console-versions-hint = Wat je niet hebt gewijzigd, komt uit de opgeslagen versie.
console-take-theirs = Mijn invoer weggooien
console-direct = Ingelogd via de API
console-no-sessions = Deze gebruiker is nergens ingelogd.
console-begun = sinds
console-last-used = laatst gebruikt
console-end-all = Alle sessies beëindigen
console-sessions-ended = Alle sessies zijn beëindigd.
console-permissions = Rechten
console-not-active = Alleen een actieve gebruiker heeft rechten.
console-total-permissions =
    { $count ->
        [one] { $shown } recht
       *[other] { $shown } rechten
    }
console-object-type = Type
console-object = Object
console-permission = Recht
console-why = Waarom
console-every-object = elk object
console-as-admin = is beheerder
console-history = Geschiedenis
console-total-events =
    { $count ->
        [one] { $shown } gebeurtenis
       *[other] { $shown } gebeurtenissen
    }
console-by = door
console-operator = de operator
console-server = de server
console-json = JSON

## Console: groups

console-search-groups = Groepen zoeken
console-new-group = Nieuwe groep
console-new-nested = Nieuwe groep hierin
console-description = Omschrijving
console-parent = Binnen groep
console-parent-hint = De naam van een groep. Leden van deze groep hebben dan ook de rechten daarvan.
console-nested-in = Binnen groep
console-nested-groups = Groepen hierin
console-no-nested = Er zit geen groep in deze.
console-first-nested = Alleen de eerste { $count } worden getoond; met zoeken vind je de andere.
console-members = Leden
console-remove-member = { $name } uit de groep verwijderen
console-about-group = Over deze groep
console-outermost = buitenste niveau
console-total-groups =
    { $count ->
        [one] { $groups } groep
       *[other] { $groups } groepen
    }
console-no-groups-yet = Er is nog geen groep. Groepen geven hun leden rechten: maak de eerste aan.
console-no-group-found = Geen groep voldoet. Controleer de spelling.
console-all-groups = Alle groepen
console-unknown-group-title = Deze groep bestaat niet
console-unknown-group = Je organisatie heeft geen groep met deze id. Misschien is die verwijderd:
console-group-created = De groep is aangemaakt.
console-group-deleted = De groep is verwijderd.
console-no-such-member = Deze gebruiker bestaat niet, of is geen lid meer. Er is niets gewijzigd.
console-delete-group = Groep verwijderen …
console-delete-group-hint = De leden blijven gebruikers, maar verliezen de rechten die eruit volgen. Dit kan niet ongedaan worden gemaakt.
console-stale-group = Iemand anders heeft deze groep gewijzigd sinds je het formulier opende. Er is nog niets opgeslagen. Vergelijk beide versies en sla opnieuw op, of neem die van de ander.
console-problem-group-name-taken = Een andere groep heeft deze naam.
console-problem-no-parent = Er is geen groep met deze naam.
console-problem-nesting-cycle = Een groep kan niet in zichzelf zitten, en ook niet in een groep die erin zit.
console-problem-nesting-too-deep = Groepen kunnen hoogstens acht niveaus diep zitten.

## Console: deleted users

console-deleted-users = Verwijderde gebruikers
console-search-deleted = Verwijderde gebruikers zoeken
console-name = Naam
console-deleted-at = Verwijderd
console-no-deleted = Hier is geen verwijderde gebruiker. Wie wordt verwijderd, kan hier worden hersteld tot de gegevens worden gewist.
console-restore = Herstellen
console-restore-user = { $name } herstellen
console-deleted-now = De gebruiker is verwijderd. Herstel de gebruiker hier om dat ongedaan te maken.
console-restored = De gebruiker is hersteld, met wachtwoord en groepen.
console-restored-some = De gebruiker is hersteld, zonder de groepen die niet meer bestaan.
console-problem-not-deleted = Deze verwijderde gebruiker bestaat niet meer. Er is niets gewijzigd.
console-problem-restore-username = Iemand anders heeft inmiddels deze gebruikersnaam. Wijzig die eerst. Er is niets gewijzigd.
console-problem-restore-external-id = Een andere gebruiker heeft inmiddels deze externe id. Wijzig die eerst. Er is niets gewijzigd.
console-address-wrong = Dit adres vraagt iets dat niet te begrijpen is. Begin opnieuw met zoeken.

## Console: the first page

console-last-events = Laatste gebeurtenissen
console-attention = Vraagt aandacht
console-locked-users =
    { $number ->
        [one] { $users } gebruiker is vergrendeld
       *[other] { $users } gebruikers zijn vergrendeld
    }
console-nothing = Op dit moment niets.
console-first-step = De eerste gebruiker aanmaken

## Events

event-user-created = Gebruiker aangemaakt
event-user-updated = Gebruiker gewijzigd
event-user-deleted = Gebruiker verwijderd
event-user-restored = Gebruiker hersteld
event-user-erased = Gebruiker gewist
event-user-locked = Vergrendeld na mislukte logins
event-user-login-refused = Login geweigerd
event-email-verified = E-mailadres geverifieerd
event-user-signed-in = Ingelogd in een browser
event-user-signed-out = Uitgelogd in een browser
event-password-issued = Tijdelijk wachtwoord uitgegeven
event-password-reset = Wachtwoord opnieuw ingesteld
event-password-changed = Wachtwoord gewijzigd
event-session-started = Sessie begonnen
event-session-ended = Sessie beëindigd
event-session-replayed = Een gebruikt token is opnieuw gebruikt
event-group-created = Groep aangemaakt
event-group-updated = Groep gewijzigd
event-group-deleted = Groep verwijderd
event-group-member-added = Toegevoegd aan een groep
event-group-member-removed = Verwijderd uit een groep
event-group-permissions-changed = Rechten van een groep gewijzigd
event-mail-set-aside = Een mail kon niet worden bezorgd
event-consent-granted = Een applicatie is gekoppeld
event-consent-withdrawn = Een applicatie is ontkoppeld

## Verify the e-mail address

verify-email-title = Bevestig je e-mailadres
verify-email-question = Is { $address } jouw e-mailadres?
verify-email-explanation = Druk alleen op de knop als je de link zelf hebt aangevraagd.
verify-email-submit = Ja, bevestigen
verify-email-done-title = Je e-mailadres is bevestigd
verify-email-done = { $address } is bevestigd. Je kunt dit venster sluiten.

## Errors

error-title = Er is iets misgegaan
error-unknown-client-title = Onbekende toepassing
error-unknown-client = De toepassing die je hierheen heeft gestuurd, is niet geregistreerd. Ga ernaar terug en meld het aan de makers. Er is niets gewijzigd.
error-bad-redirect-uri-title = Het adres van de toepassing is niet geregistreerd
error-bad-redirect-uri = De toepassing vroeg ons je naar een adres te sturen dat er niet voor is geregistreerd. Dat doen we niet. Ga ernaar terug en meld het aan de makers. Er is niets gewijzigd.
error-bad-request-title = Deze aanvraag is niet te begrijpen
error-bad-request = De link of het formulier dat hierheen leidde, is onvolledig of onjuist. Ga terug en probeer het opnieuw. Kwam je van een toepassing, meld het dan aan de makers. Er is niets gewijzigd.
error-stale-form-title = Dit formulier is verouderd
error-stale-form = De pagina stond te lang open, of je bent sindsdien in een ander venster in- of uitgelogd. Open de pagina opnieuw en herhaal wat je deed. Er is niets gewijzigd.
error-foreign-origin-title = Dit formulier kwam van een andere site
error-foreign-origin = Voor je veiligheid nemen we alleen formulieren van onze eigen pagina's aan. Open de pagina opnieuw en vul het formulier daar in. Er is niets gewijzigd.
error-cookies-off-title = Cookies staan uit
error-cookies-off = Je browser stuurt onze cookie niet mee; zonder die cookie kun je niet ingelogd blijven. Sta cookies toe voor deze site en open de pagina opnieuw. Er is niets gewijzigd.
error-expired-request-title = Deze login is verlopen
error-expired-request = Het duurde langer dan een uur, of de link is veranderd. Ga terug naar de toepassing en log opnieuw in. Er is niets gewijzigd.
error-expired-link-title = Deze link werkt niet meer
error-expired-link = De link is verlopen of al gebruikt. Vraag een nieuwe aan. Er is niets gewijzigd.
error-signed-out-title = Je bent uitgelogd
error-signed-out = Je sessie is beëindigd. Log opnieuw in en herhaal wat je deed. Er is niets gewijzigd.
error-not-allowed-title = Dit mag je niet
error-not-allowed = Je account heeft hier het recht niet toe. Vraag het je beheerder. Er is niets gewijzigd.
error-not-found-title = Pagina niet gevonden
error-not-found = Op dit adres is geen pagina. Controleer het adres of ga naar je account.
error-method-not-allowed-title = Zo kan deze pagina niet worden geopend
error-method-not-allowed = Open haar via haar adres, of via het formulier dat ernaartoe leidt. Er is niets gewijzigd.
error-too-many-title = Te veel aanvragen
error-too-many = Er kwamen te veel aanvragen vanaf je netwerk. Wacht een minuut en probeer het opnieuw.
error-unavailable-title = We zijn druk bezet
error-unavailable = De server kan nu niet antwoorden. Wacht even en probeer het opnieuw. Er is niets gewijzigd.
error-internal-title = Er is iets misgegaan
error-internal = Dat is een fout van ons, niet van jou. Probeer het opnieuw; gebeurt het weer, geef je beheerder dan het aanvraagnummer hieronder door.

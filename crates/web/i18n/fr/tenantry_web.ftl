## All pages

skip-to-content = Aller au contenu
language = Langue
details = Détails
request-id = Numéro de requête
go-to-sign-in = Aller à la connexion
go-to-account = Aller à votre compte
show-password = Afficher le mot de passe
required-field = Ce champ est obligatoire.

## Sign in

sign-in-title = Connexion
sign-in-to = Connexion à { $name }
sign-in-username = Nom d’utilisateur
sign-in-password = Mot de passe
sign-in-keep = Rester connecté
sign-in-keep-hint = Pendant 30 jours, sur cet appareil seulement. Pas sur un ordinateur partagé.
sign-in-submit = Se connecter
sign-in-forgot-password = Mot de passe oublié ?
sign-in-forgot-username = Nom d’utilisateur oublié ?
sign-in-failed = Nom d’utilisateur ou mot de passe incorrect. Vérifiez les deux et réessayez. Le mot de passe distingue les majuscules des minuscules.
sign-in-too-many =
    { $minutes ->
        [one] Trop de tentatives échouées depuis votre réseau. Réessayez dans { $minutes } minute.
       *[other] Trop de tentatives échouées depuis votre réseau. Réessayez dans { $minutes } minutes.
    }

## Sign out

sign-out-title = Déconnexion
sign-out-question = Voulez-vous vous déconnecter, { $name } ?
sign-out-asked-by = { $name } vous demande de vous déconnecter.
sign-out-explanation = Vous serez aussi déconnecté des applications ouvertes avec cette connexion.
sign-out-submit = Se déconnecter
sign-out-stay = Rester connecté
signed-out-title = Vous êtes déconnecté
signed-out-explanation = Vous pouvez fermer cette fenêtre ou vous reconnecter.

## Choose an account

choose-account-title = Choisissez un compte
choose-account-to-continue = pour continuer vers { $name }
choose-account-submit = Continuer en tant que { $name }
choose-account-other = Se connecter sous un autre nom
choose-account-other-hint = Vous serez alors déconnecté du compte ci-dessus.

## Back to the application, by a form

client-form-title = Retour à l’application
client-form-to = Retour à { $name }
client-form-explanation = Votre navigateur envoie la réponse à l’application. Si rien ne se passe, appuyez sur le bouton.
client-form-submit = Continuer

## Set a password

set-password-title = Définir un nouveau mot de passe
set-password-explanation = Vous vous êtes connecté avec un mot de passe temporaire ou expiré. Choisissez votre propre mot de passe pour continuer.
set-password-new = Nouveau mot de passe
set-password-submit = Définir le mot de passe et continuer
set-password-rules = Votre mot de passe :
set-password-met = respecté
set-password-unmet = pas encore respecté
set-password-problem = Ce mot de passe ne peut pas être utilisé. Ces règles ne sont pas encore respectées : votre mot de passe …
rule-length = compte de 12 à 40 caractères
rule-characters = se compose de lettres sans accent, de chiffres et de caractères spéciaux, sans espace ni deux-points
rule-ends = commence et finit par une lettre ou un chiffre
rule-upper-case = contient une majuscule
rule-lower-case = contient une minuscule
rule-digit = contient un chiffre
rule-special = contient un caractère spécial, par exemple - _ . ! ou #
rule-names = ne contient ni votre nom d’utilisateur, ni votre nom, ni votre adresse e-mail
rule-common = n’est pas un mot de passe courant
rule-used-before = n’est ni l’un de vos 12 derniers mots de passe, ni le mot de passe temporaire
rule-length-nist = comporte de 15 à 128 caractères, dans n’importe quelle langue, espaces compris
rule-characters-nist = ne contient aucun caractère de contrôle, comme une tabulation
rule-names-nist = n’est ni votre nom d’utilisateur ni votre adresse e-mail

## Account

account-title = Votre compte
account-sign-out = Se déconnecter
account-profile = Profil
account-password = Mot de passe
account-sessions = Sessions
account-applications = Applications connectées
account-language = Langue
account-save = Enregistrer
account-saved = Vos modifications sont enregistrées.

## Fields of the profile

field-username = Nom d’utilisateur
field-first-name = Prénom
field-last-name = Nom
field-display-name = Nom à afficher
field-display-name-hint = Affiché à la place de vos prénom et nom. Laissez ce champ vide pour les utiliser.
field-title = Fonction
field-phone-number = Numéro de téléphone
field-email = Adresse e-mail
field-email-hint = Un avis de la modification est envoyé à l’ancienne adresse.
field-username-hint = Vous l’utilisez pour vous connecter.
field-optional = facultatif

## What is wrong with a field

problem-fix = Rien n’est encore enregistré. Vérifiez ce qui est signalé ci-dessous.
problem-empty = Ce champ ne peut pas être vide.
problem-too-long = Ce texte est trop long.
problem-control-character = Ce texte contient un caractère qui ne peut pas être utilisé ici.
problem-invisible = Ce texte ne contient que des caractères invisibles. Saisissez un nom visible.
problem-username = Utilisez uniquement des lettres, des chiffres et . - _ + @, sans espaces.
problem-username-taken = Ce nom d’utilisateur est déjà pris. Choisissez-en un autre.
problem-email = Cette adresse e-mail n’est pas valide.
problem-changed-meanwhile = Cette valeur a entre-temps été modifiée ailleurs : « { $current } ». Enregistrez à nouveau pour la remplacer par votre saisie.
problem-changed-meanwhile-empty = Cette valeur a entre-temps été effacée ailleurs. Enregistrez à nouveau pour la remplacer par votre saisie.
problem-other = Cette valeur ne peut pas être utilisée.

## The e-mail address in the profile

email-verified = Cette adresse est vérifiée.
email-unverified = Cette adresse n’est pas encore vérifiée.
email-verify = Envoyer un lien de vérification
email-link-sent = Nous avons envoyé un lien à { $address }. Ouvrez-le dans les 24 heures. Si rien n’arrive, regardez dans vos courriers indésirables.
email-link-too-many =
    { $minutes ->
        [one] Un lien vient d’être envoyé. S’il n’arrive pas, vous pourrez en demander un autre dans { $minutes } minute.
       *[other] Vous avez demandé plusieurs liens. Si aucun n’arrive, vous pourrez en demander un autre dans { $minutes } minutes.
    }
email-hold = Vous avez modifié votre adresse e-mail. Pour vous protéger au cas où ce serait quelqu’un d’autre, les e-mails contenant un mot de passe sont envoyés à votre ancienne adresse, { $address }, jusqu’au { $until }.

## The status in the profile

status-label = État du compte
status-active = Actif
status-inactive = Inactif
status-locked = Verrouillé
status-hint = Si vous choisissez un autre état qu’actif, vous êtes déconnecté immédiatement, partout et de toutes les applications. Seul un administrateur pourra alors réactiver votre compte.
status-change = Changer l’état
status-last-admin = Vous êtes le dernier administrateur actif de votre organisation. Nommez d’abord un autre administrateur. Rien n’a été modifié.

## Password in the account

password-current = Mot de passe actuel
password-change = Changer le mot de passe
password-wrong = Ce n’est pas votre mot de passe actuel.
password-ends-others = Si vous le changez, vous serez déconnecté partout ailleurs.
password-changed = Votre mot de passe est changé. Vous êtes déconnecté partout ailleurs.

## Second factors

account-security = Sécurité
second-factor-title = Confirmez que c’est bien vous
second-factor-app = Saisissez le code affiché par votre application d’authentification.
second-factor-recovery-code = Si vous ne l’avez pas avec vous, saisissez l’un de vos codes de secours.
second-factor-code = Code
second-factor-remember = Ne plus demander sur cet appareil
second-factor-remember-hint = Pendant { $days } jours. Pas sur un ordinateur partagé.
second-factor-submit = Continuer
second-factor-failed = Ce code est incorrect ou a déjà été utilisé. Attendez le code suivant et réessayez.
second-factor-passkey = Utiliser une clé d’accès
second-factor-passkey-cancelled = La clé d’accès n’a pas été utilisée. Réessayez.
second-factor-passkey-failed = Cette clé d’accès ne confirme pas que c’est vous. Réessayez, ou utilisez un autre facteur.
second-factor-passkey-unsupported = Votre clé d’accès ne peut pas être utilisée dans ce navigateur. Il faut que les scripts soient activés, et votre appareil ou votre clé de sécurité.
second-factor-lost = Plus aucun code ? Demandez à votre administrateur de retirer votre second facteur.
second-factor-required = Votre organisation exige un second facteur. Ajoutez-en un pour continuer.
authenticator-title = Ajouter une application d’authentification
authenticator-intro = Une application d’authentification sur votre téléphone affiche un nouveau code toutes les 30 secondes. Il vous est demandé à la connexion.
authenticator-begin = Configurer l’application
authenticator-scan = Scannez cette image avec votre application d’authentification.
authenticator-qr = Code QR pour l’application d’authentification
authenticator-key = Ou saisissez cette clé :
authenticator-open = Ouvrir l’application sur cet appareil
authenticator-code = Le code affiché maintenant par l’application
authenticator-confirm = Ajouter l’application
authenticator-wrong-code = Ce n’est pas le code affiché maintenant par l’application. Vérifiez l’heure de votre téléphone et saisissez le code suivant.
authenticator-no-master-key = Aucune application d’authentification ne peut être ajoutée sur ce serveur, qui n’a pas de clé principale pour protéger leurs secrets. Prévenez votre administrateur.
recovery-codes-title = Vos codes de secours
recovery-codes-intro = Si vous perdez votre téléphone, connectez-vous avec l’un de ces codes. Chacun ne sert qu’une fois. Imprimez-les ou conservez-les dans un gestionnaire de mots de passe.
recovery-codes-once = Ils ne sont affichés que maintenant.
recovery-codes-copy = Copier les codes
recovery-codes-copied = Copié
recovery-codes-print = Imprimer les codes
recovery-codes-continue = J’ai conservé les codes : continuer
recovery-codes-left = Codes de secours restants : { $left }
recovery-codes-make = Créer de nouveaux codes de secours
security-intro = Avec un second facteur, personne ne peut se connecter avec votre seul mot de passe.
security-none = Vous n’avez pas de second facteur.
security-off = Les seconds facteurs sont désactivés ici.
security-required-from = Votre organisation exige un second facteur à partir du { $when }. Ajoutez-en un avant cette date.
security-add-app = Ajouter une application d’authentification
factor-app = Application d’authentification
factor-passkey = Clé d’accès
factor-recovery-codes = Codes de secours
factor-added = Ajouté le { $when }
factor-remove = Retirer : { $name }
factor-removed = Le second facteur est retiré.
factor-last = Votre organisation exige un second facteur. Ajoutez-en un autre avant de retirer celui-ci.
devices-title = Appareils mémorisés
devices-count = Appareils sur lesquels aucun code n’est demandé : { $count }
devices-forget = Redemander un code sur tous les appareils
devices-forgotten = Un code vous est de nouveau demandé sur chaque appareil.

## Passkeys

account-passkeys = Clés d’accès
passkeys-intro = Une clé d’accès vous connecte par le verrouillage de votre appareil : votre doigt, votre visage ou son code. Vous ne saisissez ni nom d’utilisateur ni mot de passe, et aucun faux site ne peut vous la demander.
passkeys-too-old = Pour ajouter, renommer ou supprimer une clé d’accès, vous devez vous être connecté dans les 5 dernières minutes.
passkeys-sign-in-again = Se reconnecter
passkeys-unsupported = Ce navigateur ne peut pas ajouter de clé d’accès ici. Il faut que les scripts soient activés, et un appareil avec verrouillage de l’écran ou une clé de sécurité.
passkeys-need-a-name = Les clés d’accès ne sont pas disponibles ici, car l’adresse de ce serveur est un nombre : les navigateurs ne gardent de clés d’accès que pour des noms. Adressez-vous à votre administrateur.
passkeys-need-https = Les clés d’accès ne sont pas disponibles ici, car ce serveur n’est pas accessible en https. Adressez-vous à votre administrateur.
passkeys-name = Nom de la clé d’accès
passkeys-name-hint = Choisissez un nom auquel vous reconnaîtrez l’appareil.
passkeys-default-name = Mon appareil
passkeys-add = Ajouter une clé d’accès
passkeys-yours = Vos clés d’accès
passkeys-none = Vous n’avez pas encore de clé d’accès.
passkeys-synced = Sur plusieurs de vos appareils
passkeys-one-device = Sur un seul appareil
passkeys-since = Ajoutée le { $when }
passkeys-last-used = dernière utilisation le { $when }
passkeys-never-used = pas encore utilisée
passkeys-change = Renommer ou supprimer : { $name }
passkeys-rename = Enregistrer le nom
passkeys-remove = Supprimer la clé d’accès : { $name }
passkeys-added = La clé d’accès est ajoutée. Vous pouvez désormais vous connecter avec elle.
passkeys-renamed = Le nom est enregistré.
passkeys-removed = La clé d’accès est supprimée. Elle ne vous connecte plus. Si votre appareil la propose encore, supprimez-la là aussi.
passkeys-taken-here = Cet appareil a déjà une clé d’accès pour votre compte.
passkeys-not-created = Aucune clé d’accès n’a été ajoutée. Réessayez quand vous serez prêt.
passkeys-too-many = Vous avez { $count } clés d’accès, le maximum. Supprimez-en une avant d’en ajouter une autre.
passkeys-bad-name = Rien n’a été enregistré : le nom doit avoir 1 à 64 caractères visibles, sans saut de ligne.
passkeys-invalid = Cette clé d’accès ne peut pas être utilisée ici. Rien n’a été modifié. Réessayez, ou utilisez un autre appareil.
passkeys-gone = Cette clé d’accès n’existe plus. Rien n’a été modifié.
passkeys-expired = La page est restée ouverte trop longtemps. Rien n’a été modifié. Réessayez.
passkeys-taken = Cette clé d’accès est déjà enregistrée. Rien n’a été modifié.
passkeys-last-factor = Il vous faut un second facteur, et celui-ci est le seul que vous ayez. Ajoutez-en un autre avant de le supprimer.
passkeys-off = Les clés d’accès sont désactivées ici. Rien n’a été modifié. Adressez-vous à votre administrateur.
passkeys-nothing-changed = Rien n’a été modifié. Voyez ci-dessous ce qu’il faut faire d’abord.
sign-in-passkey = Se connecter avec une clé d’accès
sign-in-passkey-cancelled = Vous n’avez pas été connecté avec une clé d’accès. Réessayez, ou utilisez votre mot de passe.
sign-in-passkey-refused = Cette clé d’accès ne vous connecte pas. Essayez-en une autre, ou utilisez votre mot de passe.
sign-in-passkey-expired = La page est restée ouverte trop longtemps. Réessayez.
sign-in-passkey-temporary = Connectez-vous d’abord avec le mot de passe temporaire reçu par e-mail, et choisissez-en un nouveau. Votre clé d’accès fonctionnera alors de nouveau.

## Sessions

sessions-intro = Voici où vous êtes connecté. Si vous ne reconnaissez pas une session, mettez-y fin et changez votre mot de passe.
sessions-end-others = Me déconnecter partout ailleurs
sessions-end-all = Me déconnecter partout, ici aussi
sessions-end-one = Mettre fin à la session : { $what }
sessions-browsers = Navigateurs
sessions-of-applications = Applications
sessions-no-applications = Aucune application n’a d’accès par l’une de vos sessions.
sessions-this-one = Ce navigateur
sessions-begun = Depuis le { $when }
sessions-last-used = dernière utilisation le { $when }
sessions-from = depuis { $address }
sessions-unknown-browser = Navigateur inconnu
sessions-direct = Connexion par nom d’utilisateur et mot de passe
sessions-ended = La session est terminée.
sessions-others-ended = Vous êtes déconnecté partout ailleurs.
sessions-gone = Cette session n’existe plus. Rien n’a été modifié.
sessions-more = Seules les { $count } plus récentes sont affichées.

## Connected applications

applications-intro = Ces applications peuvent connaître de vous ce qui est indiqué. Si vous le retirez, elles sont déconnectées et devront vous le redemander.
applications-none = Vous n’avez connecté aucune application.
applications-since = Connectée depuis le { $when }
applications-withdraw = Déconnecter { $name }
applications-withdrawn = L’application est déconnectée.
applications-gone = Cette application n’est plus connectée. Rien n’a été modifié.

## Language in the account

language-intro = La langue de ces pages et des e-mails qui vous sont envoyés.
language-of-browser = La langue de mon navigateur

## Consent

consent-title = Connecter { $name } ?
consent-intro = { $name } souhaite savoir qui vous êtes. Vous êtes connecté en tant que { $username }.
consent-gets = L’application reçoit :
consent-allow = Autoriser
consent-deny = Ne pas autoriser
consent-later = Vous pouvez retirer cette autorisation à tout moment dans votre compte, sous « Applications connectées ».
scope-openid = Le numéro de votre compte, qui lui permet de vous reconnaître
scope-profile = Votre nom, votre nom d’utilisateur et votre langue
scope-email = Votre adresse e-mail
scope-phone = Votre numéro de téléphone
scope-groups = Les groupes dont vous faites partie
scope-partner = L’organisation à laquelle vous appartenez
scope-offline-access = L’accès à ces données même lorsque vous n’êtes pas connecté
scope-read = La lecture des données que vous pouvez voir ici
scope-write = La modification des données que vous pouvez modifier ici

## Forgotten password and username

forgot-password-title = Mot de passe oublié ?
forgot-password-intro = Nous vous envoyons un mot de passe temporaire. Votre mot de passe actuel reste valable jusqu’à ce que vous l’utilisiez.
forgot-password-who = Nom d’utilisateur ou adresse e-mail
forgot-password-submit = Envoyer un mot de passe temporaire
forgot-username-title = Nom d’utilisateur oublié ?
forgot-username-intro = Nous envoyons à votre adresse e-mail les noms d’utilisateur qui lui correspondent.
forgot-username-submit = Envoyer mon nom d’utilisateur
forgot-sent-title = Consultez vos e-mails
forgot-password-sent = S’il existe un compte actif avec ce nom ou cette adresse, un mot de passe temporaire est en route vers l’adresse de ce compte. Connectez-vous avec ce mot de passe et choisissez-en un nouveau.
forgot-username-sent = S’il existe des comptes actifs avec cette adresse, leurs noms d’utilisateur y sont en route.
forgot-not-arrived = Rien reçu après quelques minutes ? Regardez dans vos courriers indésirables, vérifiez votre saisie ou demandez à votre administrateur. Au plus un tel e-mail est envoyé toutes les 10 minutes.
forgot-too-many =
    { $minutes ->
        [one] Trop de demandes depuis votre réseau. Réessayez dans { $minutes } minute.
       *[other] Trop de demandes depuis votre réseau. Réessayez dans { $minutes } minutes.
    }

## Console

console-title = Console
console-home = Vue d’ensemble
console-users = Utilisateurs
console-cost =
    { $count ->
        [one] { $users } utilisateur · { $ms } ms
       *[other] { $users } utilisateurs · { $ms } ms
    }
console-refused-title = La console est réservée aux administrateurs
console-refused = Vous êtes connecté en tant que { $name }, qui n’administre pas votre organisation. Demandez ce droit à un administrateur, ou connectez-vous avec un autre compte.
console-yes = Oui
console-no = Non
console-all = Tous
console-you = vous
console-open = Ouvrir
console-close = Fermer
console-cancel = Annuler
console-add = Ajouter
console-remove = Retirer
console-create = Créer
console-never = jamais
console-saved = Enregistré.
console-at-least = au moins { $count }

## Console: keys of the keyboard

console-keys = Raccourcis clavier
console-keys-on = Utiliser des touches seules comme raccourcis
console-key-next = Ligne suivante
console-key-previous = Ligne précédente
console-key-edit = Ouvrir et modifier la ligne
console-key-search = Aller à la recherche
console-key-help = Afficher ces raccourcis
console-key-leave = Quitter la ligne, ou fermer ceci

## Console: lists

console-search = Rechercher
console-search-users = Rechercher des utilisateurs
console-filters = Filtres
console-columns = Colonnes
console-order = Ordre
console-page = Page
console-pages = Pages
console-page-size = Lignes par page
console-of-pages = sur { $pages }
console-of-many-pages = sur au moins { $pages }
console-go = Aller
console-first = Première
console-previous = Précédente
console-next = Suivante
console-last = Dernière
console-apply = Appliquer
console-exactly = Les noms d’utilisateur, adresses et identifiants externes doivent correspondre exactement, sans tenir compte de la casse.
console-group = Groupe
console-group-id = Groupe, par son identifiant
console-nested = Aussi les groupes imbriqués
console-filter-wrong = ne peut pas être utilisé :
console-filters-wrong = Rien n’est affiché, car cette adresse demande quelque chose d’incompréhensible. Retirez ce qui est signalé ci-dessus.
console-remove-filter = Retirer le filtre : { $name }
console-remove-filters = Tout retirer
console-total-users =
    { $count ->
        [one] { $users } utilisateur
       *[other] { $users } utilisateurs
    }
console-total-users-at-least = Au moins { $users } utilisateurs
console-no-users = Aucun utilisateur ne correspond. Vérifiez l’orthographe ou retirez un filtre.
console-no-such-page = La liste ne compte pas autant de pages.
console-curl = La même chose par l’API

## Console: a user

console-user-id = Identifiant
console-user-number = utilisateur { $id }
console-status = Statut
console-active = Actif
console-inactive = Inactif
console-locked = Verrouillé
console-active-hint = Peut se connecter. Un mot de passe temporaire est envoyé aussitôt.
console-inactive-hint = Ne peut pas se connecter. Le mot de passe est envoyé à l’activation.
console-admin = Administrateur
console-admins = Administrateurs
console-is-admin = Administrateur
console-is-admin-hint = Peut tout voir et tout modifier dans cette console.
console-external-id = Identifiant externe
console-display-name-hint = Affiché à la place du prénom et du nom.
console-external-id-hint = La clé de cet utilisateur dans vos propres systèmes. Chacune ne sert qu’une fois.
console-locale-hint = Un code de langue tel que en, nl ou zh-Hans. Les messages et les pages sont dans cette langue.
console-problem-locale = Ce n’est pas un code de langue. Écrivez par exemple en ou pt-BR.
console-problem-external-id-taken = Un autre utilisateur a cet identifiant externe.
console-problem-last-admin = C’est le dernier administrateur actif. Nommez d’abord un autre administrateur. Rien n’a été modifié.
console-problem-self-delete = Vous ne pouvez pas vous supprimer vous-même. Un autre administrateur doit le faire. Rien n’a été modifié.
console-created = Création
console-updated = Dernière modification
console-last-login = Dernière connexion
console-groups = Groupes
console-group-name = Nom d’un groupe
console-no-groups = Dans aucun groupe.
console-no-such-group = Aucun groupe ne porte ce nom, ou l’utilisateur n’en fait plus partie. Rien n’a été modifié.
console-remove-from = Retirer de { $name }
console-new-user = Nouvel utilisateur
console-created-user = L’utilisateur est créé.
console-all-users = Tous les utilisateurs
console-unknown-user-title = Cet utilisateur n’existe pas
console-unknown-user = Votre organisation n’a pas d’utilisateur avec cet identifiant. Il a peut-être été supprimé :
console-about-user = À propos de cet utilisateur
console-lock = Verrouiller
console-unlock = Déverrouiller
console-activate = Activer
console-deactivate = Désactiver
console-status-hint = Le verrouillage et la désactivation mettent aussitôt fin à toutes les sessions.
console-more = Autres actions
console-reset-password = Réinitialiser le mot de passe …
console-reset-password-hint = Un mot de passe temporaire est envoyé à l’utilisateur. L’ancien mot de passe et toutes les sessions prennent fin aussitôt.
console-reset-password-now = Réinitialiser et envoyer le message
console-password-reset = Un mot de passe temporaire est en route vers l’utilisateur.
console-delete-user = Supprimer l’utilisateur …
console-delete-user-hint = Toutes les sessions prennent fin aussitôt. L’utilisateur peut être restauré jusqu’à la fin de la durée de conservation de votre serveur.
console-delete-now = Supprimer { $name }
console-stale = Quelqu’un d’autre a modifié cet utilisateur depuis que vous avez ouvert le formulaire. Rien n’est encore enregistré. Comparez les deux versions, puis enregistrez à nouveau ou gardez la leur.
console-versions = Les deux versions
console-field = Champ
console-theirs = Enregistré
console-yours = Saisi par vous
console-versions-hint = Ce que vous n’avez pas modifié vient de la version enregistrée.
console-take-theirs = Abandonner ma saisie
console-direct = Connecté par l’API
console-no-sessions = Cet utilisateur n’est connecté nulle part.
console-begun = depuis
console-last-used = dernière utilisation
console-end-all = Mettre fin à toutes les sessions
console-sessions-ended = Toutes les sessions sont terminées.
console-permissions = Permissions
console-not-active = Seul un utilisateur actif a des permissions.
console-total-permissions =
    { $count ->
        [one] { $shown } permission
       *[other] { $shown } permissions
    }
console-object-type = Type
console-object = Objet
console-permission = Permission
console-why = Pourquoi
console-every-object = tous les objets
console-as-admin = est administrateur
console-history = Historique
console-total-events =
    { $count ->
        [one] { $shown } événement
       *[other] { $shown } événements
    }
console-by = par
console-operator = l’exploitant
console-server = le serveur
console-json = JSON

## Console: groups

console-search-groups = Rechercher des groupes
console-new-group = Nouveau groupe
console-new-nested = Nouveau groupe dans celui-ci
console-description = Description
console-parent = Imbriqué dans
console-parent-hint = Le nom d’un groupe. Les membres de ce groupe ont alors aussi ses permissions.
console-nested-in = Imbriqué dans
console-nested-groups = Groupes imbriqués
console-no-nested = Aucun groupe n’est imbriqué dans celui-ci.
console-first-nested = Seuls les { $count } premiers sont affichés ; la recherche trouve les autres.
console-members = Membres
console-remove-member = Retirer { $name } du groupe
console-about-group = À propos de ce groupe
console-outermost = niveau supérieur
console-total-groups =
    { $count ->
        [one] { $groups } groupe
       *[other] { $groups } groupes
    }
console-no-groups-yet = Il n’y a pas encore de groupe. Les groupes donnent des permissions à leurs membres : créez le premier.
console-no-group-found = Aucun groupe ne correspond. Vérifiez l’orthographe.
console-all-groups = Tous les groupes
console-unknown-group-title = Ce groupe n’existe pas
console-unknown-group = Votre organisation n’a pas de groupe avec cet identifiant. Il a peut-être été supprimé :
console-group-created = Le groupe est créé.
console-group-deleted = Le groupe est supprimé.
console-no-such-member = Cet utilisateur n’existe pas ou n’est plus membre. Rien n’a été modifié.
console-delete-group = Supprimer le groupe …
console-delete-group-hint = Ses membres restent des utilisateurs, mais perdent les permissions qui en viennent. Cette action est irréversible.
console-stale-group = Quelqu’un d’autre a modifié ce groupe depuis que vous avez ouvert le formulaire. Rien n’est encore enregistré. Comparez les deux versions, puis enregistrez à nouveau ou gardez la leur.
console-problem-group-name-taken = Un autre groupe porte ce nom.
console-problem-no-parent = Aucun groupe ne porte ce nom.
console-problem-nesting-cycle = Un groupe ne peut pas être imbriqué dans lui-même, ni dans un groupe qu’il contient.
console-problem-nesting-too-deep = Les groupes peuvent être imbriqués sur huit niveaux au plus.

## Console: deleted users

console-deleted-users = Utilisateurs supprimés
console-search-deleted = Rechercher des utilisateurs supprimés
console-name = Nom
console-deleted-at = Suppression
console-no-deleted = Aucun utilisateur supprimé ici. Ceux qui sont supprimés peuvent être restaurés ici jusqu’à leur effacement.
console-restore = Restaurer
console-restore-user = Restaurer { $name }
console-deleted-now = L’utilisateur est supprimé. Pour annuler, restaurez-le ici.
console-restored = L’utilisateur est restauré, avec son mot de passe et ses groupes.
console-restored-some = L’utilisateur est restauré, sans les groupes qui n’existent plus.
console-problem-not-deleted = Cet utilisateur supprimé n’existe plus. Rien n’a été modifié.
console-problem-restore-username = Quelqu’un d’autre porte désormais ce nom d’utilisateur. Modifiez-le d’abord. Rien n’a été modifié.
console-problem-restore-external-id = Un autre utilisateur a désormais cet identifiant externe. Modifiez-le d’abord. Rien n’a été modifié.
console-address-wrong = Cette adresse demande quelque chose d’incompréhensible. Recommencez par une recherche.

## Console: the first page

console-last-events = Derniers événements
console-attention = À surveiller
console-locked-users =
    { $number ->
        [one] { $users } utilisateur est verrouillé
       *[other] { $users } utilisateurs sont verrouillés
    }
console-nothing = Rien pour l’instant.
console-first-step = Créer le premier utilisateur

## Events

event-user-created = Utilisateur créé
event-user-updated = Utilisateur modifié
event-user-deleted = Utilisateur supprimé
event-user-restored = Utilisateur restauré
event-user-erased = Utilisateur effacé
event-user-locked = Verrouillé après des échecs de connexion
event-user-login-refused = Connexion refusée
event-email-verified = Adresse e-mail vérifiée
event-user-signed-in = Connexion dans un navigateur
event-user-signed-out = Déconnexion dans un navigateur
event-password-issued = Mot de passe temporaire émis
event-password-reset = Mot de passe réinitialisé
event-password-changed = Mot de passe modifié
event-session-started = Session ouverte
event-session-ended = Session terminée
event-session-replayed = Un jeton déjà utilisé a été présenté à nouveau
event-group-created = Groupe créé
event-group-updated = Groupe modifié
event-group-deleted = Groupe supprimé
event-group-member-added = Ajouté à un groupe
event-group-member-removed = Retiré d’un groupe
event-group-permissions-changed = Permissions d’un groupe modifiées
event-mail-set-aside = Un message n’a pas pu être remis
event-consent-granted = Une application a été connectée
event-consent-withdrawn = Une application a été déconnectée

## Verify the e-mail address

verify-email-title = Vérifiez votre adresse e-mail
verify-email-question = { $address } est-elle votre adresse e-mail ?
verify-email-explanation = N’appuyez sur le bouton que si vous avez vous-même demandé le lien.
verify-email-submit = Oui, la vérifier
verify-email-done-title = Votre adresse e-mail est vérifiée
verify-email-done = { $address } est vérifiée. Vous pouvez fermer cette fenêtre.

## Errors

error-title = Une erreur s’est produite
error-unknown-client-title = Application inconnue
error-unknown-client = L’application qui vous a envoyé ici n’est pas enregistrée. Revenez-y et signalez-le à ses auteurs. Rien n’a été modifié.
error-bad-redirect-uri-title = L’adresse de l’application n’est pas enregistrée
error-bad-redirect-uri = L’application nous a demandé de vous envoyer à une adresse qui n’est pas enregistrée pour elle ; nous ne le faisons pas. Revenez-y et signalez-le à ses auteurs. Rien n’a été modifié.
error-bad-request-title = Cette demande est incompréhensible
error-bad-request = Le lien ou le formulaire qui a mené ici est incomplet ou erroné. Revenez en arrière et réessayez. Si vous venez d’une application, signalez-le à ses auteurs. Rien n’a été modifié.
error-stale-form-title = Ce formulaire n’est plus valable
error-stale-form = La page est restée ouverte trop longtemps, ou vous vous êtes connecté ou déconnecté dans une autre fenêtre. Rouvrez la page et recommencez. Rien n’a été modifié.
error-foreign-origin-title = Ce formulaire vient d’un autre site
error-foreign-origin = Pour votre sécurité, nous n’acceptons que les formulaires de nos propres pages. Rouvrez la page et remplissez-y le formulaire. Rien n’a été modifié.
error-cookies-off-title = Les cookies sont désactivés
error-cookies-off = Votre navigateur n’envoie pas notre cookie, sans lequel vous ne pouvez pas rester connecté. Autorisez les cookies pour ce site, puis rouvrez la page. Rien n’a été modifié.
error-expired-request-title = Cette connexion a expiré
error-expired-request = Elle a duré plus d’une heure, ou son lien a été modifié. Revenez à l’application et reconnectez-vous. Rien n’a été modifié.
error-expired-link-title = Ce lien ne fonctionne plus
error-expired-link = Le lien a expiré ou a déjà servi. Demandez-en un nouveau. Rien n’a été modifié.
error-signed-out-title = Vous êtes déconnecté
error-signed-out = Votre session est terminée. Reconnectez-vous et recommencez. Rien n’a été modifié.
error-not-allowed-title = Vous ne pouvez pas faire cela
error-not-allowed = Votre compte n’en a pas le droit. Adressez-vous à votre administrateur. Rien n’a été modifié.
error-not-found-title = Page introuvable
error-not-found = Il n’y a pas de page à cette adresse. Vérifiez l’adresse ou allez à votre compte.
error-method-not-allowed-title = Cette page ne s’ouvre pas ainsi
error-method-not-allowed = Ouvrez-la par son adresse, ou par le formulaire qui y mène. Rien n’a été modifié.
error-too-many-title = Trop de requêtes
error-too-many = Trop de requêtes sont venues de votre réseau. Attendez une minute, puis réessayez.
error-unavailable-title = Nous sommes occupés
error-unavailable = Le serveur ne peut pas répondre pour le moment. Attendez un instant, puis réessayez. Rien n’a été modifié.
error-internal-title = Une erreur s’est produite
error-internal = C’est une erreur de notre part, pas de la vôtre. Réessayez ; si elle se reproduit, donnez à votre administrateur le numéro de requête ci-dessous.
